"""The tables of embeddings in int8: half of a small language model's file. Torch-free."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgetl.pivot.rewrite import drop_unused_constants

_LARGEST = 127
_SMALLEST_SCALE = 1e-9


def round_embeddings(model: onnx.ModelProto) -> int:
    """Store, in place, every float table whose rows are looked up as int8 with one scale for each row; returns how many
    there are.

    Only the rows of a text are made float again, so this costs no time, and a row's scale is that of its own largest
    value, so that it costs as little accuracy as weights with one scale for each channel.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    stored: dict[str, tuple[str, str]] = {}
    for node in graph.node:
        table = constants.get(node.input[0]) if node.op_type == "Gather" else None
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
        fixed = table is not None and node.input[1] in constants  # the same rows for every text
        if table is None or fixed or len(table.dims) != 2 or table.data_type != TensorProto.FLOAT or axis:
            nodes.append(node)
            continue
        if table.name not in stored:
            stored[table.name] = _store(graph, table)
        nodes += _look_up(node, *stored[table.name])
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unused_constants(graph)
    return len(stored)


def _store(graph: onnx.GraphProto, table: onnx.TensorProto) -> tuple[str, str]:
    values = numpy_helper.to_array(table)
    scales = np.maximum(np.abs(values).max(axis=1, keepdims=True) / _LARGEST, _SMALLEST_SCALE).astype(np.float32)
    integers = np.clip(np.rint(values / scales), -_LARGEST, _LARGEST).astype(np.int8)
    names = f"{table.name}/int8", f"{table.name}/scales"
    for name, array in zip(names, (integers, scales), strict=True):
        graph.initializer.append(numpy_helper.from_array(array, name))
    return names


def _look_up(node: onnx.NodeProto, table: str, scales: str) -> list[onnx.NodeProto]:
    name, rows = node.name, node.input[1]
    integers, floats, scale = (f"{node.output[0]}/{part}" for part in ("int8", "float", "scale"))
    return [
        helper.make_node("Gather", [table, rows], [integers], name),
        helper.make_node("Cast", [integers], [floats], f"{name}/float", to=TensorProto.FLOAT),
        helper.make_node("Gather", [scales, rows], [scale], f"{name}/scale"),
        helper.make_node("Mul", [floats, scale], [node.output[0]], f"{name}/scaled"),
    ]
