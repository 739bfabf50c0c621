"""Empirical bias correction on ONNX graphs, node by node: `edgetl.quant.bias` without torch.

Nagel et al. 2019, arXiv:1906.04721, section 4.2 and appendix D, with the same departures: only positions count whose
value the float network's activation passes, and in networks with SiLU only the rounding of weights is compensated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgetl.imported.normal_form import NETWORK_INPUT
from edgetl.imported.place import Placement
from edgetl.pivot.literal import open_literal
from edgetl.quant.record import Correction

IMAGES = 32  # for the correction; their values of one layer are in memory together, float and rounded
_FEWEST = 8  # positions needed for a channel's mean; with fewer its bias is unchanged
_BIASED = 3  # inputs of a layer with a bias

Array = NDArray[Any]
Values = dict[str, Array]


def correct_biases(
    quantized: onnx.ModelProto, exact: onnx.ModelProto, placement: Placement, images: NDArray[np.float32]
) -> list[Correction]:
    """Correct the biases of all quantized layers, in place, in the order of the graph.

    quantized  `with_pairs` of the float network `exact`
    images     normalized float32 (n, 3, H, W)
    """
    rounded, plain = _Run(quantized, images), _Run(exact, images)
    of_float = {node.output[0]: node for node in exact.graph.node}
    layers = set(placement.layers)
    done = []
    for node in list(quantized.graph.node):
        rounded.step(node)
        partner = of_float.get(node.output[0])
        if partner is not None:
            plain.step(partner)
        if node.output[0] in layers and len(node.input) >= _BIASED and partner:
            done.append(_correct(quantized, node, partner, rounded, plain, weights_only=bool(placement.silus)))
        rounded.forget(node)
        if partner is not None:
            plain.forget(partner)
    return done


class _Run:
    """A graph that runs one node at a time on all images."""

    def __init__(self, model: onnx.ModelProto, images: NDArray[np.float32]) -> None:
        self._opsets = list(model.opset_import)
        self._ir = model.ir_version
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.values: Values = {NETWORK_INPUT: images}
        self._last = {name: node.output[0] for node in model.graph.node for name in node.input}

    def step(self, node: onnx.NodeProto) -> None:
        found = self.run(node, {name: self.values[name] for name in node.input if name in self.values})
        self.values.update(zip((name for name in node.output if name), found, strict=True))

    def run(self, node: onnx.NodeProto, given: Mapping[str, Array]) -> list[Array]:
        """The node's outputs for values of its inputs; constants are its own."""
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), [None] * value.ndim)
            for name, value in given.items()
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        constants = [self.constants[name] for name in dict.fromkeys(node.input) if name in self.constants]
        graph = helper.make_graph([node], "step", inputs, outputs, constants)
        single = helper.make_model(graph, opset_imports=self._opsets, ir_version=self._ir)
        session: onnxruntime.InferenceSession = open_literal(single.SerializeToString())
        return [np.asarray(value) for value in session.run(None, dict(given))]

    def forget(self, node: onnx.NodeProto) -> None:
        """Free the values that no later node reads."""
        for name in (*node.input, *node.output):
            if self._last.get(name, node.output[0]) == node.output[0]:
                self.values.pop(name, None)

    def passes(self, name: str, nodes: Mapping[str, onnx.NodeProto]) -> tuple[float, float]:
        """Open interval of the values that an activation fused with a layer lets through unchanged."""
        user = nodes.get(name)
        if user is not None and user.op_type == "Relu":
            return 0.0, math.inf
        if user is not None and user.op_type == "Clip":
            ends = [self._number(each) for each in [*user.input[1:], "", ""][:2]]
            return (
                -math.inf if ends[0] is None else ends[0],
                math.inf if ends[1] is None else ends[1],
            )
        return -math.inf, math.inf

    def _number(self, name: str) -> float | None:
        return float(numpy_helper.to_array(self.constants[name])) if name in self.constants else None


def _correct(
    model: onnx.ModelProto,
    node: onnx.NodeProto,
    partner: onnx.NodeProto,
    rounded: _Run,
    plain: _Run,
    *,
    weights_only: bool,
) -> Correction:
    name = node.output[0]
    exact = plain.values[name]
    found = rounded.values[name]
    if weights_only:
        given = {node.input[0]: plain.values[partner.input[0]]}
        given |= {each: rounded.values[each] for each in node.input[1:2] if each in rounded.values}
        (found,) = rounded.run(node, given)
    interval = rounded.passes(name, _only_readers(model))
    axis = 1 if node.op_type == "Conv" else exact.ndim - 1
    error = _mean_error(exact, found, axis, interval)
    bias = rounded.constants[node.input[2]]
    moved = numpy_helper.to_array(bias) + error.astype(np.float32)
    bias.CopyFrom(numpy_helper.from_array(moved.astype(np.float32), bias.name))
    shift = error.astype(np.float32).reshape([-1 if dimension == axis else 1 for dimension in range(exact.ndim)])
    rounded.values[name] = rounded.values[name] + shift
    after = _mean_error(exact, found + shift, axis, interval)
    return Correction(node.name, _rms(error), _rms(after))


def _only_readers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    readers = Counter(name for node in model.graph.node for name in dict.fromkeys(node.input))
    return {name: node for node in model.graph.node for name in node.input if readers[name] == 1}


def _mean_error(exact: Array, found: Array, axis: int, interval: tuple[float, float]) -> NDArray[np.float64]:
    """Mean of float minus rounded over the positions that pass, (channels,); 0 with too few of them."""
    others = tuple(dimension for dimension in range(exact.ndim) if dimension != axis)
    passed = (exact > interval[0]) & (exact < interval[1])
    total = ((exact - found) * passed).sum(others, dtype=np.float64)
    count = passed.sum(others)
    result: NDArray[np.float64] = total / np.maximum(count, 1) * (count >= _FEWEST)
    return result


def _rms(error: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(error * error)))
