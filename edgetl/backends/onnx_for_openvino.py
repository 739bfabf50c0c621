"""Removes constructs from a Q/DQ graph that OpenVINO's low-precision pass does not understand.

Both edits leave every weight unchanged (docs/decisions/0016-smooth-activations.md has the times).
"""

from __future__ import annotations

import onnx
from onnx import numpy_helper

from edgetl.backends.onnx_readers import Readers
from edgetl.pivot.rewrite import drop_unused_constants
from edgetl.pivot.serialize import DEQUANTIZE, QUANTIZE

_LAYERS = ("Conv", "Gemm", "MatMul")
_SMOOTH = ("Gelu", "HardSigmoid", "HardSwish", "Sigmoid", "Tanh")


def drop_weight_zero_points(model: onnx.ModelProto) -> int:
    """Omit the zero points of weights if they are 0, as ONNX allows; returns how many were removed.

    Layers with the same number of outputs share one constant of zeros. OpenVINO reads it as a subtraction shared by
    several layers and keeps these in float: half of a ViT's.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    dropped = 0
    for node in model.graph.node:
        if node.op_type != DEQUANTIZE or node.input[0] not in constants or len(node.input) < 3:
            continue
        zero_point, weights = constants.get(node.input[2]), constants[node.input[0]]
        if zero_point is None or numpy_helper.to_array(zero_point).any() or weights.data_type != zero_point.data_type:
            continue
        if weights.data_type == onnx.TensorProto.INT8:  # the type given by the weights themselves
            del node.input[2:]
            dropped += 1
    drop_unused_constants(model.graph)
    return dropped


def join_smooth_activations(model: onnx.ModelProto) -> int:
    """Remove pairs between a layer and the smooth activations that are its only readers; returns how many were removed.

    ONNX Runtime needs them for its INT8 kernels. OpenVINO fuses the activation with the layer, on values that were
    never rounded, so a pair between them only costs time.
    """
    readers = Readers(model)
    made_by = {name: node for node in model.graph.node for name in node.output}
    gone: set[str] = set()
    for pair in model.graph.node:
        if pair.op_type != QUANTIZE or not _made_by_layer(pair.input[0], made_by):
            continue
        dequantizers = readers.of(pair.output[0])
        if not dequantizers or any(node.op_type != DEQUANTIZE for node in dequantizers):
            continue
        if not all(_feeds_smooth(node.output[0], readers) for node in dequantizers):
            continue
        for node in dequantizers:
            readers.redirect(node.output[0], pair.input[0])
        gone.update((pair.output[0], *(node.output[0] for node in dequantizers)))
    kept = [node for node in model.graph.node if node.output[0] not in gone]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    drop_unused_constants(model.graph)
    return sum(each in gone for node in made_by.values() if node.op_type == QUANTIZE for each in node.output)


def _made_by_layer(name: str, made_by: dict[str, onnx.NodeProto]) -> bool:
    """Whether a layer gives `name`, directly or before the addition of its bias."""
    maker = made_by.get(name)
    if maker is not None and maker.op_type == "Add":
        maker = next((made_by[source] for source in maker.input if source in made_by), None)
    return maker is not None and maker.op_type in _LAYERS


def _feeds_smooth(name: str, readers: Readers) -> bool:
    """Whether only smooth activations read `name`, or their products with it (x * sigmoid(x))."""
    found = readers.of(name)
    smooth = {node.output[0] for node in found if node.op_type in _SMOOTH}
    others = [node for node in found if node.op_type not in _SMOOTH]
    return bool(smooth) and all(node.op_type == "Mul" and smooth & set(node.input) for node in others)
