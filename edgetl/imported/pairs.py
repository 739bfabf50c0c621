"""Puts Q/DQ pairs and int8 weights into a float graph, as placed and observed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgetl.imported.normal_form import output_axis
from edgetl.imported.place import Placement, reads_depthwise
from edgetl.imported.ranges import Parameters
from edgetl.imported.weights import RoundedWeights, round_weights
from edgetl.pivot.rewrite import drop_unused_constants
from edgetl.pivot.serialize import DEQUANTIZE, QUANTIZE
from edgetl.types import Scheme


def with_pairs(
    model: onnx.ModelProto, placement: Placement, parameters: Mapping[str, Parameters], scheme: Scheme
) -> onnx.ModelProto:
    """A copy of the float network with the pairs. Names of values and of layers stay."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    nodes = list(graph.node)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    layers = set(placement.layers)
    for node in nodes:
        if node.output[0] in layers:
            _round_layer(graph, node, constants, parameters, scheme)
    pairs = {name: _pair(graph, name, parameters[name], scheme) for name in placement.readers}
    for node in nodes:
        for index, name in enumerate(node.input):
            if name in pairs and _reads_rounded(placement, name, node.output[0]):
                node.input[index] = pairs[name][1].output[0]
    _in_order(graph, pairs)
    drop_unused_constants(graph)
    return result


def _reads_rounded(placement: Placement, name: str, reader: str) -> bool:
    readers = placement.readers[name]
    return readers is None or reader in readers


def _pair(
    graph: onnx.GraphProto, name: str, parameters: Parameters, scheme: Scheme
) -> tuple[onnx.NodeProto, onnx.NodeProto]:
    kind = np.uint8 if scheme.activation_dtype == "uint8" else np.int8
    scale = _add(graph, f"{name}_scale", np.array(parameters.scale, np.float32))
    zero = _add(graph, f"{name}_zero_point", np.array(parameters.zero_point, kind))
    quantized, read = f"{name}_quantized", f"{name}_dequantized"
    return (
        helper.make_node(QUANTIZE, [name, scale, zero], [quantized], quantized),
        helper.make_node(DEQUANTIZE, [quantized, scale, zero], [read], read),
    )


def _round_layer(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    constants: Mapping[str, onnx.TensorProto],
    parameters: Mapping[str, Parameters],
    scheme: Scheme,
) -> None:
    """Weights as int8 and a DequantizeLinear before the layer."""
    tensor = constants[node.input[1]]
    bias = constants.get(node.input[2]) if len(node.input) > 2 else None
    rounded = round_weights(
        numpy_helper.to_array(tensor),
        output_axis(node),
        scheme,
        depthwise=reads_depthwise(node, tensor),
        bias=None if bias is None else numpy_helper.to_array(bias),
        input_scale=parameters[node.input[0]].scale,
    )
    _write_weights(graph, node, rounded)


def _write_weights(graph: onnx.GraphProto, node: onnx.NodeProto, rounded: RoundedWeights) -> None:
    # `.weight` at the end of the first part is what layers are named by
    stem = f"{node.name}.weight"
    stored = _add(graph, f"{stem}_int8", rounded.values)
    scale = _add(graph, f"{stem}_scale", rounded.scales)
    zero = _add(graph, f"{stem}_zero_point", np.zeros(rounded.scales.shape, np.int8))
    read = f"{stem}_dequantized"
    graph.node.append(helper.make_node(DEQUANTIZE, [stored, scale, zero], [read], read))
    if rounded.scales.ndim:
        graph.node[-1].attribute.append(helper.make_attribute("axis", rounded.axis))
    node.input[1] = read


def _add(graph: onnx.GraphProto, name: str, values: NDArray[np.generic]) -> str:
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values).reshape(values.shape), name))
    return name


def _in_order(graph: onnx.GraphProto, pairs: Mapping[str, tuple[onnx.NodeProto, onnx.NodeProto]]) -> None:
    """Nodes in the order in which they can run: weights first, each pair after what makes its value."""
    weights = [node for node in graph.node if node.op_type == DEQUANTIZE]
    others = [node for node in graph.node if node.op_type != DEQUANTIZE]
    ordered = [*weights]
    for name in (value.name for value in graph.input):
        ordered += pairs.get(name, ())
    for node in others:
        ordered.append(node)
        for name in node.output:
            ordered += pairs.get(name, ())
    del graph.node[:]
    graph.node.extend(ordered)
