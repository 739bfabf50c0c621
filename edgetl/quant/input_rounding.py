"""Scale and zero point of an image that a network reads as integers. Torch-free."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgetl.pivot.preprocess import byte_lattice, byte_values, on_byte_lattice
from edgetl.quant.observers import IntegerType
from edgetl.types import ImagePreprocessing

_STRETCHES = 64
_STRETCH = 1e-3


def input_parameters(p: ImagePreprocessing, integers: IntegerType) -> tuple[float, int]:
    """(scale, zero point) that cover every normalized byte and keep all of them away from rounding ties.

    With mean 0.5 and std 0.5 the tightest uint8 scale puts *every* byte on a tie, so that the last bit of a runtime's
    float arithmetic decides the first layer's input. Of 64 scales up to 6 % wider than the tightest, it takes the one
    whose nearest tie is farthest; the narrower among equals. Bytes on a uint8 lattice keep that lattice: nothing is
    rounded at all.
    """
    lattice = byte_lattice(p, symmetric=integers.symmetric)
    if lattice is not None and integers.low == 0 and on_byte_lattice(p, symmetric=integers.symmetric) == p:
        return lattice.scale, lattice.zero_point
    values = byte_values(p).reshape(-1)
    low, high = float(values.min()), float(values.max())
    stretched = [integers.parameters((low * k, high * k)) for k in 1 + _STRETCH * np.arange(_STRETCHES)]
    fitting = [found for found in stretched if _covers(values, *found, integers)] or stretched
    return max(fitting, key=lambda found: round(_distance_to_tie(values, *found), 6))


def _covers(values: NDArray[np.float64], scale: float, zero_point: int, integers: IntegerType) -> bool:
    q = np.rint(values / scale) + zero_point
    return bool(q.min() >= integers.low and q.max() <= integers.high)


def _distance_to_tie(values: NDArray[np.float64], scale: float, zero_point: int) -> float:
    steps = values / scale
    return float(np.abs(steps - np.floor(steps) - 0.5).min())
