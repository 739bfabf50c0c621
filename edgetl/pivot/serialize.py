"""Prepares an exported ONNX model for shipping: no traces of the build machine, explicit Q/DQ, reproducible bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgetl import __version__

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


def clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without metadata, doc strings and debug shapes, with explicit zero points and with producer `edgetl`.

    raises  onnx.checker.ValidationError if the result is not a valid model.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for message in _messages(result):
        if "doc_string" in message.DESCRIPTOR.fields_by_name:
            message.ClearField("doc_string")
        if "metadata_props" in message.DESCRIPTOR.fields_by_name:
            message.ClearField("metadata_props")
    del result.graph.value_info[:]  # names of symbolic sizes differ between exports; every backend infers shapes
    result.producer_name, result.producer_version = "edgetl", __version__
    result.graph.name = "edgetl"
    _explicit_zero_points(result.graph)
    onnx.checker.check_model(result)
    return result


def serialize(model: onnx.ModelProto) -> bytes:
    """The bytes of a model, always the same for the same model."""
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _messages(model: onnx.ModelProto) -> Iterator[Any]:
    yield model
    yield from _graph_messages(model.graph)
    for function in model.functions:
        yield function
        yield from function.node


def _graph_messages(graph: onnx.GraphProto) -> Iterator[Any]:
    yield graph
    groups: Iterable[Iterable[Any]] = (graph.input, graph.output, graph.initializer, graph.node)
    for group in groups:
        yield from group
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute
            if attribute.HasField("g"):
                yield from _graph_messages(attribute.g)


def _explicit_zero_points(graph: onnx.GraphProto) -> None:
    """Write the type of every quantized tensor as a zero point instead of the attribute `output_dtype`.

    Without a zero point, onnxruntime's propagation of Q/DQ past pooling falls back to uint8 and then contradicts the
    attribute, which fails at load.
    """
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    produced: dict[str, int] = {}
    made: dict[tuple[int, tuple[int, ...]], str] = {}
    for node in graph.node:
        if node.op_type not in (QUANTIZE, DEQUANTIZE):
            continue
        kind = _quantized_type(node, types, produced)
        produced[node.output[0]] = kind
        kept = [attribute for attribute in node.attribute if attribute.name != "output_dtype"]
        del node.attribute[:]
        node.attribute.extend(kept)
        if len(node.input) > 2 and node.input[2]:
            continue
        shape = shapes.get(node.input[1], ())
        name = made.get((kind, shape))
        if name is None:
            name = made[kind, shape] = f"zero_point_{len(made)}"
            zeros = np.zeros(shape, onnx.helper.tensor_dtype_to_np_dtype(kind))
            graph.initializer.append(numpy_helper.from_array(zeros, name))
        del node.input[2:]
        node.input.append(name)


def _quantized_type(node: onnx.NodeProto, types: dict[str, int], produced: dict[str, int]) -> int:
    if len(node.input) > 2 and node.input[2]:
        return types[node.input[2]]
    if node.op_type == DEQUANTIZE:
        source = node.input[0]
        return types.get(source, produced.get(source, onnx.TensorProto.UINT8))
    declared = next((attribute.i for attribute in node.attribute if attribute.name == "output_dtype"), 0)
    return int(declared) or onnx.TensorProto.UINT8
