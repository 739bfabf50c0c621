"""Multiply-accumulates of the convolutions and matrix products of an ONNX graph, node by node. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import onnx
from onnx import shape_inference

Kind = Literal["convolution", "linear"]

COMPUTE: Mapping[str, Kind] = {"Conv": "convolution", "Gemm": "linear", "MatMul": "linear"}


def is_depthwise(weight_shape: Sequence[int], groups: int) -> bool:
    """Whether every output channel of a convolution reads an input channel of its own.

    weight_shape  (O, C / groups, ...)
    """
    outputs, per_group = weight_shape[:2]
    return per_group == 1 and outputs == groups


def macs_by_output(model: onnx.ModelProto) -> dict[str, int]:
    """Multiply-accumulates for a batch of one of each Conv, Gemm and MatMul, by the name of its output.

    The first dimension of the inputs counts as 1 where it has no number. A node whose shapes cannot be inferred is
    left out.
    """
    single = onnx.ModelProto()
    single.CopyFrom(model)
    for value in single.graph.input:
        first = value.type.tensor_type.shape.dim[0]
        if not first.HasField("dim_value"):
            first.dim_value = 1
    # the existing shapes carry the symbolic batch
    del single.graph.value_info[:]
    for value in single.graph.output:
        value.type.tensor_type.shape.dim[0].Clear()
    graph = shape_inference.infer_shapes(single, data_prop=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = tuple(dim.dim_value for dim in dims)
    counted = {node.output[0]: _macs(node, shapes) for node in graph.node if node.op_type in COMPUTE}
    return {name: macs for name, macs in counted.items() if macs is not None}


def count_macs(model: onnx.ModelProto) -> int:
    """Multiply-accumulates of the convolutions and matrix products for a batch of one.

    Products whose shapes cannot be inferred are not counted, so the count may be a lower bound.
    """
    return sum(macs_by_output(model).values())


def _macs(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int | None:
    out, left, right = shapes.get(node.output[0]), shapes.get(node.input[0]), shapes.get(node.input[1])
    if out is None:
        return None
    if node.op_type == "Conv":
        # kernel (out channels, in channels per group, *window): one product each per output value
        return math.prod(out) * math.prod(right[1:]) if right else None
    if not left:
        return None
    transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return math.prod(out) * left[0 if transposed else -1]
