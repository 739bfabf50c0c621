"""What one image costs a network whatever it runs on: multiply-accumulates, counted from its ONNX graph."""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx
from onnx import shape_inference

Shapes = Mapping[str, tuple[int, ...]]


def count_macs(model: onnx.ModelProto) -> int:
    """Multiply-accumulates of the convolutions and matrix products for a batch of one.

    The first dimension of the inputs counts as 1 where it has no number. Products whose shapes cannot be inferred are
    left out, so the count is a lower bound there.
    """
    single = onnx.ModelProto()
    single.CopyFrom(model)
    for value in single.graph.input:
        first = value.type.tensor_type.shape.dim[0]
        if not first.HasField("dim_value"):
            first.dim_value = 1
    # inferred shapes that are there already carry the symbolic batch
    del single.graph.value_info[:]
    for value in single.graph.output:
        value.type.tensor_type.shape.dim[0].Clear()
    shapes = _shapes(shape_inference.infer_shapes(single, data_prop=True).graph)
    return sum(_macs_of(node, shapes) for node in single.graph.node)


def _shapes(graph: onnx.GraphProto) -> Shapes:
    found = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            found[value.name] = tuple(dim.dim_value for dim in dims)
    return found


def _macs_of(node: onnx.NodeProto, shapes: Shapes) -> int:
    if node.op_type not in ("Conv", "Gemm", "MatMul") or len(node.input) < 2:
        return 0
    left, right, out = (shapes.get(name) for name in (node.input[0], node.input[1], node.output[0]))
    if out is None:
        return 0
    if node.op_type == "Conv":
        # kernel (out channels, in channels per group, *window): one product each per output value
        return math.prod(out) * math.prod(right[1:]) if right else 0
    if node.op_type == "Gemm" and left:
        transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        return math.prod(out) * left[0 if transposed else 1]
    return math.prod(out) * left[-1] if left else 0
