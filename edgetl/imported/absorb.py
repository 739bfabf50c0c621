"""Takes the arithmetic on pixels out of the beginning of a graph, and puts the order of colors into its first layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgetl.pivot.rewrite import drop_unused_constants

GRAY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the brightness of a picture: ITU-R BT.601, section 2.5.1."""

_COLORS = 3
_STEPS = ("Add", "Sub", "Mul", "Div", "Identity", "Cast")

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Affine:
    """x * factor + offset of each color, in the order of the graph's channels. steps  operators that did it"""

    factor: tuple[float, ...]
    offset: tuple[float, ...]
    steps: int


def absorb(model: onnx.ModelProto) -> Affine:
    """Remove, in place, the additions, products and casts by constants that alone read the input (batch, 3, H, W)."""
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    source = graph.input[0].name
    factor, offset, steps = np.ones(_COLORS), np.zeros(_COLORS), 0
    while True:
        readers = [node for node in graph.node if source in node.input]
        step = _step(readers[0], source, constants) if len(readers) == 1 else None
        if step is None or readers[0].output[0] == graph.output[0].name or np.any(step[0] <= 0):
            break
        factor, offset, steps = factor * step[0], offset * step[0] + step[1], steps + 1
        gone = readers[0]
        graph.node.remove(gone)
        for node in graph.node:
            node.input[:] = [source if name == gone.output[0] else name for name in node.input]
    drop_unused_constants(graph)
    return Affine(tuple(factor.tolist()), tuple(offset.tolist()), steps)


def _step(node: onnx.NodeProto, source: str, constants: dict[str, onnx.TensorProto]) -> tuple[Values, Values] | None:
    """Factor and offset of one operator for each color; None if it is something else."""
    if node.op_type not in _STEPS:
        return None
    ones, zeros = np.ones(_COLORS), np.zeros(_COLORS)
    if node.op_type == "Identity":
        return ones, zeros
    if node.op_type == "Cast":
        return (ones, zeros) if node.attribute[0].i == TensorProto.FLOAT else None
    first = node.input[0] == source
    other = constants.get(node.input[1 if first else 0])
    value = None if other is None else _of_colors(numpy_helper.to_array(other))
    if value is None or (node.op_type == "Div" and (not first or np.any(value == 0))):
        return None
    if node.op_type == "Sub":
        return (ones, -value) if first else (-ones, value)
    if node.op_type == "Add":
        return ones, value
    return (1 / value if node.op_type == "Div" else value), zeros


def _of_colors(value: NDArray[np.generic]) -> Values | None:
    """One number for each color; None if it varies along anything else."""
    if value.size == 1:
        return np.full(_COLORS, float(value.reshape(-1)[0]))
    shape = (1,) * (4 - value.ndim) + value.shape
    fits = value.size == _COLORS and shape[1] == _COLORS
    return value.reshape(-1).astype(np.float64) if fits else None


def reverse_colors(model: onnx.ModelProto) -> None:
    """Let a network for BGR take RGB, in place: by the weights of its first convolution, else by a gather."""
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    source = graph.input[0].name
    readers = [node for node in graph.node if source in node.input]
    if all(_takes_colors(node, source, constants) for node in readers):
        for number, node in enumerate(readers):
            turned = numpy_helper.to_array(constants[node.input[1]])[:, ::-1]
            node.input[1] = _add(graph, f"rgb_{number}.weight", np.ascontiguousarray(turned))
        drop_unused_constants(graph)
        return
    for node in readers:
        node.input[:] = ["edgetl_bgr" if name == source else name for name in node.input]
    order = _add(graph, "edgetl_order", np.array([2, 1, 0], np.int64))
    graph.node.insert(0, helper.make_node("Gather", [source, order], ["edgetl_bgr"], "edgetl_gather", axis=1))


def from_colors(model: onnx.ModelProto) -> None:
    """Let a network for gray take RGB, in place: by the weights of its first convolution, else by one more before it.

    Colors that are normalized alike give the normalized gray, because the shares add up to 1.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    source = graph.input[0].name
    shares = np.array(GRAY, np.float32).reshape(1, _COLORS, 1, 1)
    readers = [node for node in graph.node if source in node.input]
    if all(node.op_type == "Conv" and node.input[1] in constants for node in readers):
        for number, node in enumerate(readers):
            weights = numpy_helper.to_array(constants[node.input[1]])
            node.input[1] = _add(graph, f"gray_{number}.weight", np.ascontiguousarray(weights * shares))
        drop_unused_constants(graph)
    else:
        for node in readers:
            node.input[:] = ["edgetl_gray" if name == source else name for name in node.input]
        weight = _add(graph, "gray.weight", shares)
        graph.node.insert(0, helper.make_node("Conv", [source, weight], ["edgetl_gray"], "edgetl_gray"))
    graph.input[0].type.tensor_type.shape.dim[1].dim_value = _COLORS


def _takes_colors(node: onnx.NodeProto, source: str, constants: dict[str, onnx.TensorProto]) -> bool:
    if node.op_type != "Conv" or node.input[0] != source or node.input[1] not in constants:
        return False
    return bool(constants[node.input[1]].dims[1] == _COLORS)


def _add(graph: onnx.GraphProto, name: str, values: NDArray[np.generic]) -> str:
    graph.initializer.append(numpy_helper.from_array(values, name))
    return name
