"""Small exact rewrites of an exported Q/DQ graph that create the patterns runtimes look for."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import helper, numpy_helper


def merge_pads(model: onnx.ModelProto) -> int:
    """Move zero padding before Q/DQ into the convolutions after it; returns how many pads were moved.

    Pad -> Quantize -> Dequantize -> Conv becomes Quantize -> Dequantize -> Conv(pads): zero is exactly representable,
    so padding before and after rounding are the same. A Pad in between prevents the convolution from running in INT8.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    users = _users(graph.node)
    merged: list[onnx.NodeProto] = []
    for pad in graph.node:
        if pad.op_type != "Pad":
            continue
        amounts = _spatial_zeros(pad, constants)
        convolutions = _convolutions_behind(pad, users)
        if amounts is None or not convolutions or not all(map(_explicit, convolutions)):
            continue
        for convolution in convolutions:
            _add_pads(convolution, amounts)
        for user in users[pad.output[0]]:
            user.input[0] = pad.input[0]
        merged.append(pad)
    for pad in merged:
        graph.node.remove(pad)
    if merged:
        drop_unused_constants(graph)
    return len(merged)


def drop_unused_constants(graph: onnx.GraphProto) -> None:
    """Remove initializers that no node reads."""
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def fix_recurrent_weights(model: onnx.ModelProto) -> int:
    """Compute the weights of LSTM and GRU layers, in place; returns how many tensors were computed.

    ONNX orders the gates in another way than torch, and the exporter leaves the reordering of large weights to be done
    at every inference. Quantizers of recurrent layers see no constants there and leave such a layer float.
    """
    graph = model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    recurrent = [node for node in graph.node if node.op_type in ("LSTM", "GRU")]
    wanted = [name for node in recurrent for name in node.input[1:4] if name in made_by]
    needed = _ancestors(wanted, made_by)
    ordered = [node for node in graph.node if node.name in needed]
    if not ordered or any(name == source.name for node in ordered for name in node.input for source in graph.input):
        return 0
    from onnx.reference import ReferenceEvaluator

    results = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in wanted]
    part = helper.make_graph(ordered, "weights", [], results, list(graph.initializer))
    values = ReferenceEvaluator(helper.make_model(part, opset_imports=model.opset_import)).run(None, {})
    for node in ordered:
        graph.node.remove(node)
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in zip(wanted, values, strict=True)
    )
    drop_unused_constants(graph)
    return len(wanted)


def _ancestors(wanted: Iterable[str], made_by: dict[str, onnx.NodeProto]) -> set[str]:
    """Names of the nodes that `wanted` are computed by."""
    found: set[str] = set()
    pending = [made_by[name] for name in wanted]
    while pending:
        node = pending.pop()
        if node.name not in found:
            found.add(node.name)
            pending += [made_by[name] for name in node.input if name in made_by]
    return found


def _users(nodes: Iterable[onnx.NodeProto]) -> dict[str, list[onnx.NodeProto]]:
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in nodes:
        for name in node.input:
            users.setdefault(name, []).append(node)
    return users


def _spatial_zeros(pad: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> list[int] | None:
    """[begin..., end...] over the spatial axes when `pad` adds only zeros there; else None."""
    mode = next((helper.get_attribute_value(a) for a in pad.attribute if a.name == "mode"), b"constant")
    named = list(pad.input) + [""] * (4 - len(pad.input))
    if mode != b"constant" or named[1] not in constants or named[3]:
        return None
    if named[2] and (named[2] not in constants or np.any(numpy_helper.to_array(constants[named[2]]))):
        return None
    amounts = numpy_helper.to_array(constants[named[1]]).astype(int).tolist()
    rank = len(amounts) // 2
    outside = [*amounts[:2], *amounts[rank : rank + 2]]
    if rank < 3 or any(outside) or min(amounts) < 0:
        return None
    return [*amounts[2:rank], *amounts[rank + 2 :]]


def _convolutions_behind(pad: onnx.NodeProto, users: dict[str, list[onnx.NodeProto]]) -> list[onnx.NodeProto]:
    """The convolutions that alone read the padded tensor, through Q/DQ or directly; empty when others read it too."""
    found: list[onnx.NodeProto] = []
    pending = [pad.output[0]]
    while pending:
        name = pending.pop()
        readers = users.get(name, [])
        if not readers:
            return []
        for reader in readers:
            if reader.op_type in ("QuantizeLinear", "DequantizeLinear") and reader.input[0] == name:
                pending.append(reader.output[0])
            elif reader.op_type == "Conv" and reader.input[0] == name:
                found.append(reader)
            else:
                return []
    return found


def _explicit(convolution: onnx.NodeProto) -> bool:
    automatic = next((helper.get_attribute_value(a) for a in convolution.attribute if a.name == "auto_pad"), b"NOTSET")
    return bool(automatic == b"NOTSET")


def _add_pads(convolution: onnx.NodeProto, amounts: list[int]) -> None:
    for attribute in convolution.attribute:
        if attribute.name == "pads":
            attribute.ints[:] = [a + b for a, b in zip(attribute.ints, amounts, strict=True)]
            return
    convolution.attribute.append(helper.make_attribute("pads", amounts))


def split_float_biases(model: onnx.ModelProto) -> int:
    """Add the bias of a quantized Gemm with a float result in a separate node; returns how many were split.

    onnxruntime has an INT8 Gemm with a float result only without bias. With a bias, it would convert the weights to
    float at every inference.
    """
    made_by = {name: node for node in model.graph.node for name in node.output}
    users = _users(model.graph.node)
    nodes: list[onnx.NodeProto] = []
    split = 0
    for node in model.graph.node:
        nodes.append(node)
        if node.op_type != "Gemm" or len(node.input) < 3 or not node.input[2]:
            continue
        sources = [made_by.get(name) for name in node.input[:2]]
        factor = next((helper.get_attribute_value(a) for a in node.attribute if a.name == "beta"), 1.0)
        if factor != 1.0 or not all(source is not None and source.op_type == "DequantizeLinear" for source in sources):
            continue
        if _is_quantized(node.output[0], users):
            continue
        bias, output = node.input[2], node.output[0]
        del node.input[2:]
        node.output[0] = f"{output}_without_bias"
        nodes.append(helper.make_node("Add", [node.output[0], bias], [output], f"{node.name}_bias"))
        split += 1
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return split


def _is_quantized(name: str, users: dict[str, list[onnx.NodeProto]]) -> bool:
    """Whether a result goes into Q only, directly or through a fused activation."""
    readers = users.get(name, [])
    return bool(readers) and all(
        reader.op_type == "QuantizeLinear"
        or (reader.op_type in ("Relu", "Clip") and _is_quantized(reader.output[0], users))
        for reader in readers
    )


def fold_transposes(model: onnx.ModelProto) -> None:
    """Make constants of transposed constants, in place: an output layer that reads the table of embeddings."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    kept = []
    for node in model.graph.node:
        source = constants.get(node.input[0]) if node.op_type == "Transpose" else None
        if source is None:
            kept.append(node)
            continue
        order = next((list(each.ints) for each in node.attribute if each.name == "perm"), None)
        turned = np.ascontiguousarray(np.transpose(numpy_helper.to_array(source), order))
        model.graph.initializer.append(numpy_helper.from_array(turned, node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(kept)
    drop_unused_constants(model.graph)
