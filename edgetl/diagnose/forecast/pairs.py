"""Sums of products as on an x86 CPU without VNNI: uint8 x int8 in pairs, each pair sum clipped to 16 bits.

`vpmaddubsw` adds two neighboring products along K and saturates the sum to int16; `vpmaddwd` with ones and `vpaddd`
then add the pair sums without loss in int32 (Intel Architectures Software Developer's Manual, volume 2). A VNNI
instruction adds four products in int32, which is exact.

Only pairs of weights with the same sign and a sum of at least 129 can leave int16, because an activation is at most
255; the actual largest activations exclude more pairs. So the change by saturation is computed from those pairs alone
and the exact sum by a matrix product. This gives the same integers as the instructions, at a fraction of the cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HIGHEST, LOWEST = 32767, -32768
MAX_ACTIVATION = 255
_EXACT_ROWS = 512  # 512 products of 255 x 128 stay below 2^24: every partial sum is exact in float32
_BLOCK_CELLS = 1 << 19  # bounds the memory of one block of pair sums


@dataclass(frozen=True)
class Weights:
    """One matrix of int8 weights with the pairs in it that can saturate.

    matrix  (N, K) float32, the integers; K in the order in which the runtime pairs them
    column  (R,) output channel of each pair that can saturate, ascending
    row     (R,) index along K of the pair's first weight, always even
    values  (R, 2) float32; 0 for the partner that an odd K lacks
    """

    matrix: NDArray[np.float32]
    column: NDArray[np.intp]
    row: NDArray[np.intp]
    values: NDArray[np.float32]

    @property
    def pairs(self) -> int:
        """Number of pair sums for one position of the output."""
        outputs, depth = self.matrix.shape
        return int(outputs * ((depth + 1) // 2))


@dataclass(frozen=True)
class Sums:
    """Accumulators of a layer, before zero point and bias.

    exact      (N, M) int32, as with VNNI
    change     (N, M) int32, what saturation adds to them; `exact + change` is what a CPU without VNNI has
    saturated  how many pair sums were clipped
    peak       the largest |pair sum| before clipping if any was clipped, else 0
    highest    (K,) uint8, the largest activation of each row
    """

    exact: NDArray[np.int32]
    change: NDArray[np.int32]
    saturated: int
    peak: int
    highest: NDArray[np.uint8]


def weights_of(matrix: NDArray[np.int8]) -> Weights:
    """Find the pairs of (N, K) weights that some activations can drive out of int16."""
    pairs = _paired(matrix)
    high, low = _reach(pairs, np.full(pairs.shape[1:], MAX_ACTIVATION, np.int32))
    column, pair = np.nonzero((high > HIGHEST) | (low < LOWEST))
    values = pairs[column, pair].astype(np.float32)
    return Weights(matrix.astype(np.float32), column, 2 * pair, values)


def bound(matrix: NDArray[np.int8], highest: NDArray[np.uint8] | None = None) -> int:
    """The largest |pair sum| that (N, K) weights can reach with activations up to `highest` (K,), or up to 255."""
    most = np.full(matrix.shape[1], MAX_ACTIVATION, np.uint8) if highest is None else highest
    high, low = _reach(_paired(matrix), _paired(most[None])[0])
    return int(max(high.max(initial=0), -low.min(initial=0)))


def accumulate(weights: Weights, columns: NDArray[np.uint8]) -> Sums:
    """Multiply and add `columns`, (K, M) uint8, with and without saturation, a block of positions at a time."""
    depth, positions = columns.shape
    outputs = weights.matrix.shape[0]
    exact = np.empty((outputs, positions), np.int32)
    change = np.zeros((outputs, positions), np.int32)
    saturated = peak = 0
    width = max(1, min(positions, _BLOCK_CELLS // max(depth, 1)))
    for start in range(0, positions, width):
        block = columns[:, start : start + width].astype(np.float32)
        exact[:, start : start + width] = _product(weights.matrix, block)
        clipped, largest = _add_changes(weights, block, change[:, start : start + width])
        saturated, peak = saturated + clipped, max(peak, largest)
    return Sums(exact, change, saturated, peak, columns.max(axis=1, initial=0))


def _paired(matrix: NDArray[np.integer]) -> NDArray[np.int32]:
    """(N, K) -> (N, ceil(K / 2), 2)"""
    outputs, depth = matrix.shape
    padded = np.zeros((outputs, depth + depth % 2), np.int32)
    padded[:, :depth] = matrix
    return padded.reshape(outputs, -1, 2)


def _reach(pairs: NDArray[np.int32], most: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The highest and the lowest sum of each pair for activations from 0 to `most`, shaped (pairs, 2)."""
    products = pairs * most
    return np.maximum(products, 0).sum(axis=-1, dtype=np.int32), np.minimum(products, 0).sum(axis=-1, dtype=np.int32)


def _product(matrix: NDArray[np.float32], block: NDArray[np.float32]) -> NDArray[np.int32]:
    total = np.zeros((matrix.shape[0], block.shape[1]), np.int32)
    for start in range(0, matrix.shape[1], _EXACT_ROWS):
        rows = slice(start, start + _EXACT_ROWS)
        total += (matrix[:, rows] @ block[rows]).astype(np.int32)
    return total


def _add_changes(weights: Weights, block: NDArray[np.float32], change: NDArray[np.int32]) -> tuple[int, int]:
    """Add the change of each pair sum by clipping to `change`; returns how many were clipped and the largest."""
    saturated, peak = 0, 0.0
    suspects = _suspects(weights, block)
    count = max(1, _BLOCK_CELLS // block.shape[1])
    last = block.shape[0] - 1
    for start in range(0, len(suspects), count):
        part = suspects[start : start + count]
        row, values = weights.row[part], weights.values[part]
        # every product and pair sum is an integer below 2^24, exact in float32; a missing partner has weight 0
        sums = block[row] * values[:, :1]
        sums += block[np.minimum(row + 1, last)] * values[:, 1:]
        clipped = np.clip(sums, LOWEST, HIGHEST)
        clipped -= sums
        beyond = int(np.count_nonzero(clipped))
        if beyond:
            saturated, peak = saturated + beyond, max(peak, float(sums.max()), -float(sums.min()))
            column = weights.column[part]
            firsts = np.flatnonzero(np.diff(column, prepend=-1))
            change[column[firsts]] += np.add.reduceat(clipped, firsts, axis=0, dtype=np.float64).astype(np.int32)
    return saturated, int(peak)


def _suspects(weights: Weights, block: NDArray[np.float32]) -> NDArray[np.intp]:
    """Which of the pairs can saturate with the largest activations of this block."""
    if not len(weights.column):
        return np.empty(0, np.intp)
    highest = block.max(axis=1)
    partner = highest[np.minimum(weights.row + 1, len(highest) - 1)]
    products = weights.values * np.stack([highest[weights.row], partner], axis=1)
    high, low = np.maximum(products, 0).sum(axis=1), np.minimum(products, 0).sum(axis=1)
    return np.flatnonzero((high > HIGHEST) | (low < LOWEST))
