"""Rewrites sigmoids, products with them and global means of an INT8 network into forms with ONNX Runtime INT8 kernels.

Between two Q/DQ pairs, x * sigmoid(x) (SiLU) is in float: the runtime converts to float twice, makes two passes and
rounds the result. Its INT8 kernels for both operators need one more pair, after the sigmoid, whose range is known
without any image. A mean over height and width has an INT8 kernel only as GlobalAveragePool
(docs/decisions/0016-smooth-activations.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgetl.backends.onnx_readers import only_reader
from edgetl.pivot.rewrite import drop_unused_constants
from edgetl.pivot.serialize import DEQUANTIZE, QUANTIZE

_LARGEST = 255  # of uint8
_HEIGHT_AND_WIDTH = [2, 3]
_RANK = 4

Constants = Mapping[str, NDArray[Any]]


def use_integer_gates(model: onnx.ModelProto) -> int:
    """Rewrite a Q/DQ model with uint8 activations in place; returns how many operators got an INT8 kernel.

    A rounded sigmoid differs from the sigmoid by at most half a step of 1/255; a mean is the same except for the order
    of summation.
    """
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    nodes: list[onnx.NodeProto] = []
    changed = 0
    for node in graph.node:
        nodes.append(node)
        source = made_by.get(node.input[0]) if node.input else None
        if source is None or not _is_uint8(source, constants):
            continue
        if _is_gate(graph, node, made_by, constants):
            nodes += _round(graph, node, _top(source, constants))
            changed += 1
        elif _is_global_mean(graph, node, constants):
            node.op_type = "GlobalAveragePool"
            del node.input[1:]
            del node.attribute[:]
            changed += 1
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unused_constants(graph)
    return changed


def _is_uint8(node: onnx.NodeProto, constants: Constants) -> bool:
    """Whether a node gives dequantized uint8 values of one scale."""
    if node.op_type != DEQUANTIZE or len(node.input) < 3 or node.input[0] in constants:
        return False
    scale, zero_point = (constants.get(name) for name in node.input[1:3])
    return scale is not None and zero_point is not None and scale.size == 1 and zero_point.dtype == np.uint8


def _top(dequantize: onnx.NodeProto, constants: Constants) -> float:
    """The largest value that comes out of a DequantizeLinear."""
    scale, zero_point = (constants[name] for name in dequantize.input[1:3])
    return float(scale) * (_LARGEST - int(zero_point))


def _is_gate(
    graph: onnx.GraphProto, node: onnx.NodeProto, made_by: Mapping[str, onnx.NodeProto], constants: Constants
) -> bool:
    """Whether a sigmoid feeds only one product, whose other factor and result are rounded."""
    product = only_reader(graph, node.output[0]) if node.op_type == "Sigmoid" else None
    if product is None or product.op_type != "Mul":
        return False
    others = [made_by.get(name) for name in product.input if name != node.output[0]]
    return (
        len(others) == 1
        and others[0] is not None
        and _is_uint8(others[0], constants)
        and _is_rounded(graph, product.output[0])
    )


def _is_global_mean(graph: onnx.GraphProto, node: onnx.NodeProto, constants: Constants) -> bool:
    if node.op_type != "ReduceMean" or len(node.input) < 2 or node.input[1] not in constants:
        return False
    settings = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    axes = sorted(int(axis) % _RANK for axis in constants[node.input[1]].reshape(-1))
    return axes == _HEIGHT_AND_WIDTH and settings.get("keepdims", 1) == 1 and _is_rounded(graph, node.output[0])


def _is_rounded(graph: onnx.GraphProto, name: str) -> bool:
    reader = only_reader(graph, name)
    return reader is not None and reader.op_type == QUANTIZE


def _round(graph: onnx.GraphProto, sigmoid: onnx.NodeProto, top: float) -> list[onnx.NodeProto]:
    """The pair after a sigmoid of values up to `top`."""
    answer = sigmoid.output[0]
    exact, whole, scale, zero = (f"{answer}/{part}" for part in ("exact", "whole", "scale", "zero"))
    step = np.array(1 / (1 + math.exp(-top)) / _LARGEST, np.float32)
    zero_point = np.array(0, np.uint8)
    graph.initializer.extend([numpy_helper.from_array(step, scale), numpy_helper.from_array(zero_point, zero)])
    sigmoid.output[0] = exact
    return [
        helper.make_node(QUANTIZE, [exact, scale, zero], [whole], f"{answer}/quantize"),
        helper.make_node(DEQUANTIZE, [whole, scale, zero], [answer], f"{answer}/dequantize"),
    ]
