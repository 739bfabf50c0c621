"""Finds values that one scale for a whole tensor cannot hold, after SiLU: `edgetl.quant.wide` without torch.

The rule and its source are those of docs/decisions/0024-wide-channels.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgetl.imported.normal_form import NETWORK_INPUT
from edgetl.pivot.literal import open_literal
from edgetl.pivot.mixed import expose

LARGEST_NOISE = 0.04
"""Share of the variance of a layer's outputs, the mean over its channels, that rounding what it reads may add."""
IMAGES = 16  # on which it is measured

_STEPS = 255
_SILENT = 1e-9  # variance of a channel that always gives the same


@dataclass
class _Seen:
    """Range of a value, and moments of each channel of a convolution's result."""

    low: float = np.inf
    high: float = -np.inf
    count: int = 0
    sums: NDArray[np.float64] | float = 0.0
    squares: NDArray[np.float64] | float = 0.0

    def add(self, values: NDArray[np.float32]) -> None:
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        rows = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1).astype(np.float64)
        self.count += rows.shape[1]
        self.sums, self.squares = self.sums + rows.sum(1), self.squares + (rows * rows).sum(1)

    def variances(self) -> NDArray[np.float64]:
        mean = np.asarray(self.sums) / self.count
        found: NDArray[np.float64] = np.asarray(self.squares) / self.count - mean * mean
        return found


def too_wide(model: onnx.ModelProto, silus: Iterable[str], images: Iterable[NDArray[np.float32]]) -> frozenset[str]:
    """Those of the results of SiLU, `silus`, that are not to be rounded.

    images  normalized float32 (n, 3, H, W), a few at a time; looked at only if there is a SiLU
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {name: [] for name in silus}
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[0] in readers and node.input[1] in constants:
            readers[node.input[0]].append(node)
    names = list(dict.fromkeys([*readers, *(node.output[0] for nodes in readers.values() for node in nodes)]))
    if not any(readers.values()):
        return frozenset()
    session = open_literal(expose(model, names).SerializeToString())
    seen = {name: _Seen() for name in names}
    for batch in images:
        for name, values in zip(names, session.run(names, {NETWORK_INPUT: batch}), strict=True):
            seen[name].add(np.asarray(values))
    found = set()
    for name, nodes in readers.items():
        step = (seen[name].high - seen[name].low) / _STEPS
        shares = [_share(step, numpy_helper.to_array(constants[n.input[1]]), seen[n.output[0]]) for n in nodes]
        if max(shares, default=0.0) > LARGEST_NOISE:
            found.add(name)
    return frozenset(found)


def _share(step: float, weights: NDArray[np.float32], result: _Seen) -> float:
    """The mean share of rounding noise in the channels of a convolution: rounding adds step^2 / 12 to the variance of
    each value, and a sum of them, weighted, w^2 times that."""
    variances = result.variances()
    alive = variances > _SILENT
    added = step**2 / 12 * np.square(weights.reshape(len(weights), -1).astype(np.float64)).sum(1)
    return float(np.minimum(added[alive] / variances[alive], 1).mean()) if alive.any() else 0.0
