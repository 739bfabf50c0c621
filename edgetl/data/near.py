"""Thumbnails that show the same picture: encoded again, resized, brighter, mirrored, turned, trimmed by some percent.

Found in two steps, so that very similar pictures of different things (textures, hand signs, scans) raise nothing: a
perceptual hash proposes (64 bits of a 32x32 DCT; Zauner 2010, "Implementation and Benchmarking of Perceptual Image
Hash Functions"), and the thumbnails decide by their correlation, once the second is moved and stretched onto the first
(Gauss-Newton registration; Baker and Matthews 2004, "Lucas-Kanade 20 Years On"). Of coarse pictures the detail must
agree as well: two digits of 8x8 pixels hold few numbers, and are soon alike in all that changes slowly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetl.types import Progress

SIDE = 64
"""Pixels of a thumbnail's side."""
COARSE = 0.1
"""`fine_detail` below which a picture is coarse; measured: digits of 8x8 pixels have 0.03 to 0.08, of photographs and
scans of 100 pixels and more 99 in 100 have more than 0.1."""

_HASHED = SIDE // 2  # side of what the hash sees
_TURNS = 8
_NEAR_BITS = 12  # of 64; trimming 2 % of each side changes 8 (median 4 to 8), of two pictures of a set some 30
_PLAIN = 0.6  # correlation before any registration
_COARSE = 0.9  # registered at half the size
_SAME = 0.97  # registered; measured: copies trimmed by 2 % from 0.96 up, two different hand signs up to 0.957
_DETAIL = 4  # pixels around each of a thumbnail: what differs from their mean is detail
_SAME_DETAIL = 0.96  # correlation of registered detail, asked of coarse pictures; two digits have up to 0.953
_FLAT = 2.0  # grey levels of standard deviation; below, noise would decide
_PARTNERS = 16  # earlier pictures that are looked at for each picture, the nearest by hash
_LIMIT = 0.05  # of half a side: how far registration may move or stretch
_STEPS = 8
_ROWS = 256  # pictures whose hashes are compared with all at a time
_PAIRS = 128  # pairs registered at a time


def near_pairs(thumbnails: NDArray[np.uint8], progress: Progress) -> dict[tuple[int, int], float]:
    """(first, second) -> correlation of thumbnails that show the same picture."""
    small = _halved(thumbnails)
    hashes = _hashes(small)
    vivid = small.std(axis=(1, 2)) >= _FLAT
    found: dict[tuple[int, int], float] = {}
    with progress.task("comparing pictures", total=len(thumbnails)) as advance:
        for start in range(0, len(thumbnails), _ROWS):
            stop = min(start + _ROWS, len(thumbnails))
            pairs = _proposed(hashes, vivid, start, stop)
            for at in range(0, len(pairs), _PAIRS):
                for first, second, value in _confirmed(pairs[at : at + _PAIRS], thumbnails, small):
                    found[first, second] = max(value, found.get((first, second), 0.0))
            advance(stop - start)
    return found


def fine_detail(thumbnails: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) what differs from the pixels around, within two of (N, S, S), as a share of all contrast."""
    plane = thumbnails.astype(np.float32)
    share: NDArray[np.float32] = _detail(plane, 2).std(axis=(1, 2)) / np.maximum(plane.std(axis=(1, 2)), _FLAT)
    return share


def _halved(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    quarters = thumbnails.reshape(len(thumbnails), _HASHED, 2, _HASHED, 2)
    small: NDArray[np.float32] = quarters.mean(axis=(2, 4), dtype=np.float32)
    return small


def _hashes(small: NDArray[np.float32]) -> NDArray[np.uint64]:
    """uint64 (8, N): the DCT hash of (N, 32, 32) pictures in every turn of `_turned`.

    A bit says whether one of the coefficients (1..8, 1..8) of the DCT-II is above their median. Mirroring a signal
    changes the sign of its odd coefficients, transposing it transposes them: no picture is turned.
    """
    points, waves = np.arange(_HASHED) + 0.5, np.arange(1, 9)
    basis = np.cos(np.pi / _HASHED * np.outer(waves, points)).astype(np.float32)
    plain = basis @ small @ basis.T
    sign = np.where(waves % 2, np.float32(-1), np.float32(1))
    hashes = np.empty((_TURNS, len(small)), np.uint64)
    for turn in range(_TURNS):
        values = plain.swapaxes(1, 2) if turn & 4 else plain
        values = values * sign[:, None] if turn & 2 else values
        values = (values * sign if turn & 1 else values).reshape(len(small), 64)
        bits = values > np.median(values, axis=1, keepdims=True) if len(small) else values > 0
        hashes[turn] = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    return hashes


def _turned(pictures: NDArray[np.float32], turn: int) -> NDArray[np.float32]:
    """(N, S, S) pictures in one of eight turns: transposed (4), upside down (2), mirrored (1)."""
    turned = pictures.swapaxes(1, 2) if turn & 4 else pictures
    turned = turned[:, ::-1] if turn & 2 else turned
    return turned[:, :, ::-1] if turn & 1 else turned


def _proposed(hashes: NDArray[np.uint64], vivid: NDArray[np.bool_], start: int, stop: int) -> NDArray[np.intp]:
    """(M, 3): first, second in start..stop, turn of the second; the nearest by hash for each second."""
    parts: list[NDArray[np.intp]] = []
    for turn in range(_TURNS):
        distance = np.bitwise_count(hashes[turn, start:stop, None] ^ hashes[0, None, :stop])
        second, first = np.nonzero(distance <= _NEAR_BITS)
        parts.append(
            np.stack([first, second + start, np.full_like(first, turn), distance[second, first].astype(np.intp)], 1)
        )
    pairs = np.concatenate(parts)
    pairs = pairs[(pairs[:, 0] < pairs[:, 1]) & vivid[pairs[:, 0]] & vivid[pairs[:, 1]]]
    pairs = pairs[np.lexsort((pairs[:, 2], pairs[:, 0], pairs[:, 3], pairs[:, 1]))]
    place = np.arange(len(pairs)) - np.searchsorted(pairs[:, 1], pairs[:, 1])
    return pairs[place < _PARTNERS, :3]


def _confirmed(
    pairs: NDArray[np.intp], thumbnails: NDArray[np.uint8], small: NDArray[np.float32]
) -> Iterator[tuple[int, int, float]]:
    """Of proposed pairs those that show the same picture, with their correlation; cheap tests first."""

    def of_turn(pictures: NDArray[np.uint8] | NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        first = pictures[pairs[:, 0]].astype(np.float32)
        second = pictures[pairs[:, 1]].astype(np.float32)
        for turn in range(1, _TURNS):
            chosen = pairs[:, 2] == turn
            second[chosen] = _turned(second[chosen], turn)
        return first, second

    pairs = pairs[_registered(*of_turn(small), steps=0)[0] >= _PLAIN]
    pairs = pairs[_registered(*of_turn(small))[0] >= _COARSE]
    first, second = of_turn(thumbnails)
    values, fits = _registered(first, second)
    coarse = np.minimum(fine_detail(first), fine_detail(second)) < COARSE
    same = (values >= _SAME) & (~coarse | (_detail_correlation(first, second, fits) >= _SAME_DETAIL))
    for (one, other, _), value in zip(pairs[same].tolist(), values[same].tolist(), strict=True):
        yield one, other, min(value, 1.0)


def _registered(
    first: NDArray[np.float32], second: NDArray[np.float32], steps: int = _STEPS
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(P,) correlations of (P, S, S) pictures, the best while the second is fitted to the first in `steps` steps, and
    (P, 4) the fits they were found with.

    A fit is the stretch and shift down and those to the right, in half sides, each at most `_LIMIT`.
    """
    count, side = first.shape[:2]
    grid = np.linspace(-1, 1, side, dtype=np.float32)
    fit = np.zeros((count, 4), np.float32)
    best, best_fit = np.full(count, -1, np.float32), fit
    for step in range(steps + 1):
        moved, mask = _moved(second, fit)
        wanted, found = _standard(first, mask), _standard(moved, mask)
        correlation = (wanted * found).sum(axis=(1, 2))
        best_fit = np.where((correlation > best)[:, None], fit, best_fit)
        best = np.maximum(best, correlation)
        if step < steps:
            fit = np.clip(fit + _step(wanted - found, found, mask, grid), -_LIMIT, _LIMIT)
    return best, best_fit


def _detail_correlation(
    first: NDArray[np.float32], second: NDArray[np.float32], fit: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(P,) correlations of the detail in (P, S, S) pictures, the second moved as `fit` says."""
    moved, mask = _moved(second, fit)
    wanted, found = _standard(_detail(first, _DETAIL), mask), _standard(_detail(moved, _DETAIL), mask)
    correlation: NDArray[np.float32] = (wanted * found).sum(axis=(1, 2))
    return correlation


def _detail(pictures: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """What differs from the mean of the pixels up to `reach` away."""
    size = 2 * reach + 1
    padded = np.pad(pictures, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    rows = sliding_window_view(padded, size, axis=1).mean(axis=-1)
    detail: NDArray[np.float32] = pictures - sliding_window_view(rows, size, axis=2).mean(axis=-1)
    return detail


def _moved(pictures: NDArray[np.float32], fit: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(P, S, S) pictures moved and stretched, and a mask that leaves out what fell outside."""
    side = pictures.shape[1]
    grid = np.linspace(-1, 1, side, dtype=np.float32)
    down = (1 + fit[:, :1]) * grid + fit[:, 1:2]
    right = (1 + fit[:, 2:3]) * grid + fit[:, 3:]
    edge = 1 + 1 / side  # half a pixel beyond the centre of the last
    mask = ((np.abs(down) <= edge)[:, :, None] & (np.abs(right) <= edge)[:, None, :]).astype(np.float32)
    moved = (_weights(down) @ pictures @ _weights(right).swapaxes(1, 2)).astype(np.float32, copy=False)
    return moved, mask


def _step(
    error: NDArray[np.float32], found: NDArray[np.float32], mask: NDArray[np.float32], grid: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(P, 4): the Gauss-Newton step, damped a little: pictures without detail along one axis have no fit there."""
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


def _standard(pictures: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean 0 and norm 1 inside the mask, 0 outside."""
    mean = (pictures * mask).sum(axis=(1, 2), keepdims=True) / np.maximum(mask.sum(axis=(1, 2), keepdims=True), 1)
    centred = (pictures - mean) * mask
    norm = np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True))
    standard: NDArray[np.float32] = centred / np.maximum(norm, np.float32(1e-6))
    return standard
