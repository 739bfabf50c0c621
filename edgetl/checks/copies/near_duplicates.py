"""Finds thumbnails as similar as copies: re-encoded, resized, brighter, mirrored, turned, trimmed by a few percent.

Two objects of one product in one pose also look alike, so a pair is only a suspicion; `confirm.py` decides at full
detail.

The search has two steps, so that very similar images of different things (textures, hand signs, scans) are not
reported. A perceptual hash proposes pairs (64 bits of a 32x32 DCT; Zauner 2010, "Implementation and Benchmarking of
Perceptual Image Hash Functions"). The correlation of the thumbnails decides, once the second is aligned with the first
(`registration.py`). For coarse images the detail must agree as well: two digits of 8x8 pixels have few values and are
easily alike in slow changes. Hash and correlation use gray images, so colors are compared separately.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edgetl.checks.copies.registration import TURNS, move, registered, standard, turned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetl.types import Progress

SIDE = 64
"""Pixels of a thumbnail's side."""
COLOR_SIDE = 16
"""Pixels of a color thumbnail's side."""
COARSE = 0.1
"""`fine_detail` below which an image is coarse; measured: digits of 8x8 pixels have 0.03 to 0.08, and 99 % of
photographs and scans of at least 100 pixels have more than 0.1."""

SAME = 0.97
"""Correlation of registered thumbnails; measured: copies trimmed by 2 % from 0.96 up, two different hand signs up to
0.957."""

_HASHED = SIDE // 2  # side of the image for the hash
_NEAR_BITS = (
    12  # of 64 bits; trimming 2 % of each side changes 8 (median 4 to 8), two images of a set differ in about 30
)
_PLAIN = 0.6  # correlation before any registration
_COARSE = 0.9  # registered at half the size
_DETAIL = 4  # neighborhood of a thumbnail's pixel: the difference from its mean is detail
_SAME_DETAIL = 0.96  # correlation of registered detail, required of coarse images; two digits have up to 0.953
_FLAT = 2.0  # gray levels of standard deviation; below it, noise would decide
_PARTNERS = 16  # candidates per image and step, the nearest by hash
_GRAY = 3.0  # gray levels between the channels, up to which an image has no color
_OTHER_COLOR = 0.5  # difference of two colors over the stronger one ...
_COLOR_NOISE = 4.0  # ... beyond these gray levels
_ROWS = 256  # images whose hashes are compared with all others at a time
_PAIRS = 128  # pairs registered at a time


def near_pairs(
    thumbnails: NDArray[np.uint8],
    colors: NDArray[np.uint8],
    progress: Progress,
    *,
    in_training: NDArray[np.bool_] | None = None,
    in_validation: NDArray[np.bool_] | None = None,
) -> dict[tuple[int, int], float]:
    """(first, second) -> correlation of thumbnails as similar as copies, first < second.

    thumbnails     uint8 (N, 64, 64), gray
    colors        uint8 (N, 16, 16, 3), RGB
    in_training    (N,) whether an image is in training; by default all are
    in_validation  (N,) whether it is in validation, perhaps also; by default none is

    On each side an image is compared with 16 earlier ones, the nearest by hash. Across the sides a validation image is
    compared with the 16 nearest training images, then with the next 16, until one matches or none is left: other
    similar images never hide a match.
    """
    small = _halved(thumbnails)
    hashes = _hashes(small)
    vivid = small.std(axis=(1, 2)) >= _FLAT
    everything = np.arange(len(thumbnails))
    in_training = np.ones(len(thumbnails), np.bool_) if in_training is None else in_training
    in_validation = np.zeros(len(thumbnails), np.bool_) if in_validation is None else in_validation
    found: dict[tuple[int, int], float] = {}

    def confirm(pairs: NDArray[np.intp]) -> set[int]:
        """Keep the pairs that look alike; returns the second image of each."""
        seconds: set[int] = set()
        for at in range(0, len(pairs), _PAIRS):
            for first, second, value in _confirmed(pairs[at : at + _PAIRS], thumbnails, small, colors):
                key = min(first, second), max(first, second)
                found[key] = max(value, found.get(key, 0.0))
                seconds.add(second)
        return seconds

    with progress.task("comparing images", total=len(thumbnails)) as advance:
        for start in range(0, len(thumbnails), _ROWS):
            block = everything[start : start + _ROWS]
            pairs = _proposed(hashes, everything[: block[-1] + 1], block, vivid)
            one, other = pairs[:, 0], pairs[:, 1]
            one_side = (in_training[one] & in_training[other]) | (in_validation[one] & in_validation[other])
            pairs = pairs[(one < other) & one_side]
            confirm(pairs[_place(pairs) < _PARTNERS])
            pairs = _proposed(hashes, np.flatnonzero(in_training), block[in_validation[block]], vivid)
            pairs = pairs[pairs[:, 0] != pairs[:, 1]]
            while len(pairs):
                place = _place(pairs)
                done = list(confirm(pairs[place < _PARTNERS]))
                pairs = pairs[(place >= _PARTNERS) & ~np.isin(pairs[:, 1], done)]
            advance(len(block))
    return found


def fine_detail(thumbnails: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) difference from the pixels within a distance of two in (N, S, S), as a share of all contrast."""
    plane = thumbnails.astype(np.float32)
    share: NDArray[np.float32] = detail(plane, 2).std(axis=(1, 2)) / np.maximum(plane.std(axis=(1, 2)), _FLAT)
    return share


def _halved(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    quarters = thumbnails.reshape(len(thumbnails), _HASHED, 2, _HASHED, 2)
    small: NDArray[np.float32] = quarters.mean(axis=(2, 4), dtype=np.float32)
    return small


def _hashes(small: NDArray[np.float32]) -> NDArray[np.uint64]:
    """uint64 (8, N): the DCT hash of (N, 32, 32) images in every orientation of `turned`.

    A bit says whether one of the coefficients (1..8, 1..8) of the DCT-II is above their median. Mirroring a signal
    flips the sign of its odd coefficients, and transposing it transposes them, so no image has to be turned.
    """
    points, waves = np.arange(_HASHED) + 0.5, np.arange(1, 9)
    basis = np.cos(np.pi / _HASHED * np.outer(waves, points)).astype(np.float32)
    plain = basis @ small @ basis.T
    sign = np.where(waves % 2, np.float32(-1), np.float32(1))
    hashes = np.empty((TURNS, len(small)), np.uint64)
    for turn in range(TURNS):
        values = plain.swapaxes(1, 2) if turn & 4 else plain
        values = values * sign[:, None] if turn & 2 else values
        values = (values * sign if turn & 1 else values).reshape(len(small), 64)
        bits = values > np.median(values, axis=1, keepdims=True) if len(small) else values > 0
        hashes[turn] = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    return hashes


def _proposed(
    hashes: NDArray[np.uint64], firsts: NDArray[np.intp], seconds: NDArray[np.intp], vivid: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """(M, 3): first, second, orientation of the second; grouped by second, the nearest by hash first."""
    parts: list[NDArray[np.intp]] = []
    for turn in range(TURNS):
        distance = np.bitwise_count(hashes[turn][seconds][:, None] ^ hashes[0][firsts])
        row, column = np.nonzero(distance <= _NEAR_BITS)
        near = distance[row, column].astype(np.intp)
        parts.append(np.stack([firsts[column], seconds[row], np.full_like(row, turn), near], 1))
    pairs = np.concatenate(parts)
    pairs = pairs[vivid[pairs[:, 0]] & vivid[pairs[:, 1]]]
    return pairs[np.lexsort((pairs[:, 2], pairs[:, 0], pairs[:, 3], pairs[:, 1])), :3]


def _place(pairs: NDArray[np.intp]) -> NDArray[np.intp]:
    """(M,) how many proposals the second of each pair has before it."""
    return np.arange(len(pairs)) - np.searchsorted(pairs[:, 1], pairs[:, 1])


def _confirmed(
    pairs: NDArray[np.intp], thumbnails: NDArray[np.uint8], small: NDArray[np.float32], colors: NDArray[np.uint8]
) -> Iterator[tuple[int, int, float]]:
    """The proposed pairs that look alike, with their correlation; cheap tests first."""

    def of_turn(pictures: NDArray[np.uint8] | NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        first = pictures[pairs[:, 0]].astype(np.float32)
        second = pictures[pairs[:, 1]].astype(np.float32)
        for turn in range(1, TURNS):
            chosen = pairs[:, 2] == turn
            second[chosen] = turned(second[chosen], turn)
        return first, second

    pairs = pairs[registered(*of_turn(small), steps=0)[0] >= _PLAIN]
    pairs = pairs[_of_one_color(pairs, colors)]
    pairs = pairs[registered(*of_turn(small))[0] >= _COARSE]
    first, second = of_turn(thumbnails)
    values, fits = registered(first, second)
    coarse = np.minimum(fine_detail(first), fine_detail(second)) < COARSE
    same = (values >= SAME) & (~coarse | (_detail_correlation(first, second, fits) >= _SAME_DETAIL))
    for (one, other, _), value in zip(pairs[same].tolist(), values[same].tolist(), strict=True):
        yield one, other, min(value, 1.0)


def _of_one_color(pairs: NDArray[np.intp], colors: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(P,) whether the colors of both agree, the second turned; an image without color may be a gray copy."""
    first, second = (_chroma(colors[pairs[:, column]]) for column in (0, 1))
    for turn in range(1, TURNS):
        chosen = pairs[:, 2] == turn
        for plane in second:
            plane[chosen] = turned(plane[chosen], turn)
    strength = np.sqrt(np.maximum((first**2).mean(axis=(0, 2, 3)), (second**2).mean(axis=(0, 2, 3))))
    other = np.sqrt(((first - second) ** 2).mean(axis=(0, 2, 3)))
    gray = np.minimum(np.abs(first).max(axis=(0, 2, 3)), np.abs(second).max(axis=(0, 2, 3))) <= _GRAY
    same: NDArray[np.bool_] = gray | (other <= _OTHER_COLOR * strength + _COLOR_NOISE)
    return same


def _chroma(colors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(2, P, S, S): red minus green and blue minus green."""
    red, green, blue = np.moveaxis(colors.astype(np.float32), 3, 0)
    return np.stack([red - green, blue - green])


def _detail_correlation(
    first: NDArray[np.float32], second: NDArray[np.float32], fit: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(P,) correlations of the detail in (P, S, S) images, the second moved by `fit`."""
    laid, mask = move(second, fit)
    wanted, found = standard(detail(first, _DETAIL), mask), standard(detail(laid, _DETAIL), mask)
    correlation: NDArray[np.float32] = (wanted * found).sum(axis=(1, 2))
    return correlation


def detail(pictures: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """The difference from the mean of the pixels up to `reach` away."""
    size = 2 * reach + 1
    padded = np.pad(pictures, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    rows = sliding_window_view(padded, size, axis=1).mean(axis=-1)
    left: NDArray[np.float32] = pictures - sliding_window_view(rows, size, axis=2).mean(axis=-1)
    return left
