"""Rewrites constructs of a Q/DQ graph that OpenVINO's low-precision pass does not understand.

No edit changes a weight (docs/decisions/0016-smooth-activations.md has the times).
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgetl.backends.onnx_readers import Readers, only_reader
from edgetl.pivot.rewrite import drop_unused_constants
from edgetl.pivot.serialize import DEQUANTIZE, QUANTIZE
from edgetl.types import IMAGE_INPUT

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


def spell_out_rounding(model: onnx.ModelProto) -> bool:
    """Insert Cast, Mul, Add and QuantizeLinear if bytes go directly into DequantizeLinear; False if they do not.

    ONNX Runtime accepts `image -> Transpose -> DequantizeLinear` as the input of an INT8 convolution. OpenVINO would
    run it in float: its pass needs the float values and their FakeQuantize before it; the function is the same.
    """
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    transpose = only_reader(graph, IMAGE_INPUT)
    reader = None if transpose is None else only_reader(graph, transpose.output[0])
    if transpose is None or reader is None or any(name not in constants for name in list(reader.input)[1:]):
        return False
    if (transpose.op_type, reader.op_type) != ("Transpose", "DequantizeLinear"):
        return False
    scale_name, zero_point_name = list(reader.input)[1:3]
    scale, zero_point = float(constants[scale_name]), int(constants[zero_point_name])
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(scale, np.float32), "image_scale"),
            numpy_helper.from_array(np.array(-scale * zero_point, np.float32), "image_offset"),
        ]
    )
    rounded = transpose.output[0]
    transpose.input[0], transpose.output[0] = "image_shifted", "image_planes"
    before = [
        helper.make_node("Cast", [IMAGE_INPUT], ["image_float"], "image_cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["image_float", "image_scale"], ["image_scaled"], "image_mul"),
        helper.make_node("Add", ["image_scaled", "image_offset"], ["image_shifted"], "image_add"),
    ]
    after = helper.make_node(
        "QuantizeLinear", ["image_planes", scale_name, zero_point_name], [rounded], "image_quantize"
    )
    nodes = list(graph.node)
    place = nodes.index(transpose)
    del graph.node[:]
    graph.node.extend([*nodes[:place], *before, transpose, after, *nodes[place + 1 :]])
    return True
