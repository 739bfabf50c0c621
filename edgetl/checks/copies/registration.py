"""Aligns one image with another: turned, then moved and stretched slightly.

Gauss-Newton registration (Baker and Matthews 2004, "Lucas-Kanade 20 Years On").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TURNS = 8
_LIMIT = 0.05  # of half a side: limit of moving and stretching
_STEPS = 8


def turned(pictures: NDArray[np.float32], turn: int) -> NDArray[np.float32]:
    """(N, S, S) images in one of `TURNS`: transposed (4), upside down (2), mirrored (1)."""
    turned = pictures.swapaxes(1, 2) if turn & 4 else pictures
    turned = turned[:, ::-1] if turn & 2 else turned
    return turned[:, :, ::-1] if turn & 1 else turned


def registered(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    steps: int = _STEPS,
    start: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(P,) best correlations of (P, S, S) images while the second is fitted to the first in `steps` steps, and (P, 4)
    their fits.

    A fit is the vertical stretch and shift, then the horizontal ones, in half sides, each at most 0.05. It starts at
    `start` (P, 4), or without one at the identity.
    """
    count, side = first.shape[:2]
    grid = np.linspace(-1, 1, side, dtype=np.float32)
    fit = np.zeros((count, 4), np.float32) if start is None else start
    best, best_fit = np.full(count, -1, np.float32), fit
    for step in range(steps + 1):
        laid, mask = move(second, fit)
        wanted, found = standard(first, mask), standard(laid, mask)
        correlation = (wanted * found).sum(axis=(1, 2))
        best_fit = np.where((correlation > best)[:, None], fit, best_fit)
        best = np.maximum(best, correlation)
        if step < steps:
            fit = np.clip(fit + _step(wanted - found, found, mask, grid), -_LIMIT, _LIMIT)
    return best, best_fit


def move(pictures: NDArray[np.float32], fit: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(P, S, S) images moved and stretched, and a mask that excludes pixels from outside."""
    side = pictures.shape[1]
    grid = np.linspace(-1, 1, side, dtype=np.float32)
    down = (1 + fit[:, :1]) * grid + fit[:, 1:2]
    right = (1 + fit[:, 2:3]) * grid + fit[:, 3:]
    edge = 1 + 1 / side  # half a pixel beyond the center of the last
    mask = ((np.abs(down) <= edge)[:, :, None] & (np.abs(right) <= edge)[:, None, :]).astype(np.float32)
    laid = (_weights(down) @ pictures @ _weights(right).swapaxes(1, 2)).astype(np.float32, copy=False)
    return laid, mask


def _step(
    error: NDArray[np.float32], found: NDArray[np.float32], mask: NDArray[np.float32], grid: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(P, 4): the Gauss-Newton step, slightly damped: images without detail along one axis have no fit there."""
    half = np.float32((len(grid) - 1) / 2)
    by_row, by_column = (np.gradient(found, axis=axis) * mask * half for axis in (1, 2))
    slopes = np.stack([by_row * grid[:, None], by_row, by_column * grid, by_column], axis=1)
    slopes = slopes.reshape(len(found), 4, len(grid) ** 2)
    normal = slopes @ slopes.swapaxes(1, 2)
    damping = 1e-3 * np.trace(normal, axis1=1, axis2=2) / 4 + 1e-6
    normal += damping[:, None, None] * np.eye(4, dtype=np.float32)
    return np.linalg.solve(normal, slopes @ error.reshape(len(found), len(grid) ** 2, 1))[:, :, 0].astype(np.float32)


def _weights(place: NDArray[np.float32]) -> NDArray[np.float32]:
    """(P, S, S) weights of linear interpolation at places (P, S) in -1..1."""
    side = place.shape[1]
    at = np.clip((place + 1) * np.float32((side - 1) / 2), 0, side - 1)
    weights: NDArray[np.float32] = np.maximum(0, 1 - np.abs(at[:, :, None] - np.arange(side, dtype=np.float32)))
    return weights


def standard(pictures: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean 0 and norm 1 inside the mask, 0 outside."""
    mean = (pictures * mask).sum(axis=(1, 2), keepdims=True) / np.maximum(mask.sum(axis=(1, 2), keepdims=True), 1)
    centered = (pictures - mean) * mask
    norm = np.sqrt((centered**2).sum(axis=(1, 2), keepdims=True))
    standard: NDArray[np.float32] = centered / np.maximum(norm, np.float32(1e-6))
    return standard
