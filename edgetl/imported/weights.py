"""Weights as int8 around zero, in numpy: the rules of `edgetl.quant.fakequant`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.types import Scheme

Floats = NDArray[np.float32]

_LARGEST = 127
_SMALLEST_SCALE = 1e-9
_PAIR_LIMIT = 128 - 1e-3  # 255 x 128 fits int16; the rest is for what float32 divisions round
_BIAS_STEPS = 2.0**29


@dataclass(frozen=True)
class RoundedWeights:
    """values  int8, of the shape of the weights; scales  float32, one or one for each output"""

    values: NDArray[np.int8]
    scales: Floats
    axis: int

    def floats(self) -> Floats:
        """What the integers stand for."""
        shape = [-1 if dimension == self.axis else 1 for dimension in range(self.values.ndim)]
        result: Floats = self.values.astype(np.float32) * (
            self.scales.reshape(shape) if self.scales.ndim else self.scales
        )
        return result


def round_weights(
    weights: Floats, axis: int, scheme: Scheme, *, depthwise: bool, bias: Floats | None, input_scale: float
) -> RoundedWeights:
    """Round the weights of a layer.

    axis         of its outputs: 0, or 1 for (inputs, outputs)
    depthwise    its products are never added in int16, so pairs of them may be large
    bias         as a multiple of input scale * weight scale it must fit int32, so the scale may be wider
    """
    rows = np.moveaxis(weights, axis, 0)
    each = scheme.weight_granularity == "channel"
    steps = np.abs(rows).reshape(len(rows), -1).max(1) / _LARGEST
    if scheme.weight_pairs_in_int16 and not depthwise:
        steps = np.maximum(steps, largest_pairs(rows) / _PAIR_LIMIT)
    least = np.full(len(rows), _SMALLEST_SCALE)
    if bias is not None and input_scale > 0:
        least = np.maximum(least, np.abs(bias.reshape(-1)) / (input_scale * _BIAS_STEPS))
    scales = np.maximum(steps, least).astype(np.float32)
    if not each:
        scales = np.asarray(scales.max(), np.float32)
    shape = (-1,) + (1,) * (rows.ndim - 1)
    stretched = scales.reshape(shape) if each else scales
    integers = np.clip(np.rint(rows / stretched), -_LARGEST, _LARGEST).astype(np.int8)
    return RoundedWeights(np.ascontiguousarray(np.moveaxis(integers, 0, axis)), scales, axis)


def largest_pairs(rows: Floats) -> Floats:
    """The largest |sum| of two weights of one sign that an x86 CPU without VNNI multiplies as a pair: (O,).

    rows  (O, K), or (O, C / groups, ...) of a convolution; see `edgetl.quant.fakequant.largest_pairs`
    """
    flat = np.moveaxis(rows, 1, -1).reshape(len(rows), -1)
    signs = np.stack([flat, -flat]).clip(min=0)
    if rows.shape[1] % 2:
        best: Floats = np.sort(signs, axis=-1)[..., -2:].sum(-1).max(0)
        return best
    pairs: Floats = signs.reshape(2, len(flat), -1, 2).sum(-1).max((0, -1))
    return pairs
