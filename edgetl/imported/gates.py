"""Writes gates that exporters spell out, clip(x + 3, 0, 6) / 6, as the one operator HardSigmoid.

Runtimes fuse that into the layer before, or at least pass over the values once instead of three times.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgetl.pivot.rewrite import drop_unused_constants

_CLOSE = 1e-5


def join_gates(graph: onnx.GraphProto) -> None:
    """Rewrite, in place, k * clip(x + a, 0, 1 / k), and the same where the product with k comes after one with x."""
    gates = _Gates(graph)
    for clip in [node for node in graph.node if node.op_type == "Clip"]:
        gates.join(clip)
    drop_unused_constants(graph)


class _Gates:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.made_by = {name: node for node in graph.node for name in node.output}
        self.outputs = {value.name for value in graph.output}

    def join(self, clip: onnx.NodeProto) -> None:
        shift = self.made_by.get(clip.input[0])
        ends = [self._number(name) for name in [*clip.input[1:], "", ""][:2]]
        if shift is None or shift.op_type != "Add" or ends[0] != 0 or not ends[1] or not self._only(shift):
            return
        value, added = self._operands(shift)
        if added is None:
            return
        user = self._only(clip)
        scale, product = (user, None) if user is not None and self._factor(user) else (self._after(user, value), user)
        factor = None if scale is None else self._factor(scale)
        if scale is None or factor is None or not math.isclose(factor * ends[1], 1, rel_tol=_CLOSE):
            return
        clip.CopyFrom(
            helper.make_node("HardSigmoid", [value], list(clip.output), clip.name, alpha=factor, beta=factor * added)
        )
        self._pass_over(scale, clip.output[0] if product is None else product.output[0])
        self.graph.node.remove(shift)

    def _after(self, product: onnx.NodeProto | None, value: str) -> onnx.NodeProto | None:
        """What multiplies x * clip(...) by a number."""
        if product is None or product.op_type != "Mul" or value not in product.input:
            return None
        return self._only(product)

    def _only(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """The only node that reads the result of `node`."""
        (name,) = node.output
        readers = [each for each in self.graph.node if name in each.input]
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def _factor(self, node: onnx.NodeProto) -> float | None:
        """By which a node multiplies its only varying input; None if it does anything else."""
        if node.op_type not in ("Mul", "Div"):
            return None
        _, number = self._operands(node)
        if number is None or number <= 0 or (node.op_type == "Div" and node.input[1] not in self.constants):
            return None
        return number if node.op_type == "Mul" else 1 / number

    def _operands(self, node: onnx.NodeProto) -> tuple[str, float | None]:
        """The input that varies, and the number that is the other one; None if it is none."""
        one, other = node.input
        return (one, self._number(other)) if other in self.constants else (other, self._number(one))

    def _number(self, name: str) -> float | None:
        values: Any = numpy_helper.to_array(self.constants[name]) if name in self.constants else np.zeros(0)
        return float(values.reshape(-1)[0]) if values.size == 1 else None

    def _pass_over(self, node: onnx.NodeProto, source: str) -> None:
        """Take out a node; what read its result reads `source`."""
        (result,) = node.output
        self.graph.node.remove(node)
        for each in self.graph.node:
            each.input[:] = [source if name == result else name for name in each.input]
        if result in self.outputs:
            maker = self.made_by[source]
            maker.output[0] = result
            for each in self.graph.node:
                each.input[:] = [result if name == source else name for name in each.input]
