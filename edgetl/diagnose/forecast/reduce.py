"""Gives layers of a Q/DQ model 7-bit weights, whose pair sums cannot leave int16."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgetl.diagnose.forecast.pairs import halved
from edgetl.errors import UsageError
from edgetl.pivot.compute import COMPUTE
from edgetl.pivot.rewrite import drop_unused_constants


def reduce_range(model: onnx.ModelProto, layers: Collection[str]) -> onnx.ModelProto:
    """A copy of a Q/DQ model in which the named layers have int8 weights in -64..63 at twice the scale.

    layers  names of Conv, Gemm or MatMul nodes whose weights go through DequantizeLinear with zero point 0
    raises  UsageError for a name that is not such a layer.

    A bias in int32 is rounded again with its scale doubled, because kernels take it in units of data scale x weight
    scale. Everything else stays byte for byte.
    """
    found = onnx.ModelProto()
    found.CopyFrom(model)
    graph = found.graph
    made_by = {name: node for node in graph.node for name in node.output}
    by_name = {node.name: node for node in graph.node if node.op_type in COMPUTE}
    for name in sorted(set(layers)):
        node = by_name.get(name)
        weight = made_by.get(node.input[1]) if node is not None else None
        if node is None or weight is None or weight.op_type != "DequantizeLinear":
            raise UsageError(f"`{name}` is not a layer with quantized weights; layers are: {', '.join(_layers(graph))}")
        _halve(graph, node, 1, weight)
        bias = made_by.get(node.input[2]) if len(node.input) > 2 else None
        if bias is not None and bias.op_type == "DequantizeLinear":
            _halve(graph, node, 2, bias)
    _drop_unread(graph)
    drop_unused_constants(graph)
    return found


def _halve(graph: onnx.GraphProto, layer: onnx.NodeProto, position: int, source: onnx.NodeProto) -> None:
    """Give `layer` its own dequantizer with half the integers and twice the scale, keeping real values."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    try:
        integers, scale = (numpy_helper.to_array(constants[name]) for name in source.input[:2])
    except KeyError as error:
        raise UsageError(f"`{layer.name}`: its quantized weights are not constants; expected a Q/DQ pivot") from error
    zero_point = constants.get(source.input[2]) if len(source.input) > 2 else None
    if zero_point is not None and numpy_helper.to_array(zero_point).any():
        raise UsageError(f"`{layer.name}`: its weights have a zero point; expected symmetric weights")
    stem = f"{layer.name}_{position}_reduced"
    rounded = halved(integers) if integers.dtype == np.int8 else np.rint(integers / 2).astype(integers.dtype)
    copy = onnx.NodeProto()
    copy.CopyFrom(source)
    copy.name, copy.output[0] = stem, f"{stem}_real"
    copy.input[0] = _add(graph, f"{stem}_integers", rounded)
    copy.input[1] = _add(graph, f"{stem}_scale", np.asarray(2 * scale, dtype=scale.dtype))
    graph.node.insert(next(i for i, node in enumerate(graph.node) if node.output == layer.output), copy)
    layer.input[position] = copy.output[0]


def _drop_unread(graph: onnx.GraphProto) -> None:
    """Remove dequantizers without readers."""
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    unread = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.output[0] not in read]
    for node in unread:
        graph.node.remove(node)
    gone = {node.output[0] for node in unread}
    kept = [value for value in graph.value_info if value.name not in gone]
    del graph.value_info[:]
    graph.value_info.extend(kept)


def _layers(graph: onnx.GraphProto) -> list[str]:
    quantized = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    return [n.name for n in graph.node if n.op_type in COMPUTE and len(n.input) > 1 and n.input[1] in quantized]


def _add(graph: onnx.GraphProto, name: str, values: NDArray[np.generic]) -> str:
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
    return name
