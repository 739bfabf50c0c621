"""Pairs across the split that show the same scene: closer in feature space than any neighbor, and confirmed.

In a set of similar textures all distances are small, so no absolute limit works. A pair stands out if each is the
other's nearest across the split and its cosine distance is far below that to the next image on either side: the ratio
test of Lowe 2004, "Distinctive Image Features from Scale-Invariant Keypoints", section 7.1. Thumbnails confirm such a
pair (`aligned_correlation`), unless the images have only a few pixels. These pairs are weaker than copies (another
crop, another moment), so they are warnings and are not refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgetl.checks.copies.near_duplicates import COARSE, fine_detail
from edgetl.tasks.classification.heads.space import deviations

MAX_RATIO = 0.6
"""Distance of a suspected pair over the distance to the next image. Measured on six sets: pairs of different images
are above 0.7 in dense sets; a crop to 80 % has 0.3 to 0.5."""
MIN_CORRELATION = 0.85
"""Correlation of aligned thumbnails: centered crops to 75-92 % have 0.85 to 0.98, random pairs of one set up to 0.65,
two printed digits of one kind about 0.8."""
_ZOOMS = (1.06, 1.12, 1.19, 1.26, 1.33, 1.41, 1.5, 1.6)  # half a step of misalignment costs a tenth of the correlation
_CENTRE = 0.7  # share of the side that is searched for in the other image
_SMOOTH = 0.125  # of the side: slower changes of brightness are light, not content

Plane = NDArray[np.float64]


@dataclass(frozen=True)
class Neighbours:
    """Indices of a shot and a validation image, their distance ratio, and the correlation of their thumbnails."""

    shot: int
    val: int
    ratio: float
    correlation: float


def find_neighbours(
    features: NDArray[np.float32], is_val: NDArray[np.bool_], thumbnails: NDArray[np.uint8]
) -> tuple[Neighbours, ...]:
    """Suspected pairs, the most outstanding first.

    features (N, F), is_val (N,), thumbnails uint8 (N, S, S) gray. O(N^2) memory: the caller limits N.
    """
    distances = _cosine_distances(features)
    np.fill_diagonal(distances, np.inf)
    found: list[Neighbours] = []
    for shot, val, ratio in _outstanding(distances, is_val):
        if fine_detail(thumbnails[[shot, val]]).min() < COARSE:
            continue  # two digits of 8x8 pixels agree once aligned
        correlation = aligned_correlation(thumbnails[shot], thumbnails[val])
        if correlation >= MIN_CORRELATION:
            found.append(Neighbours(shot, val, ratio, correlation))
    return tuple(sorted(found, key=lambda pair: (pair.ratio, pair.shot)))


def _outstanding(distances: NDArray[np.float32], is_val: NDArray[np.bool_]) -> list[tuple[int, int, float]]:
    shots, measured = np.flatnonzero(~is_val), np.flatnonzero(is_val)
    if not len(shots) or not len(measured):
        return []
    crossing = distances[np.ix_(shots, measured)]
    pairs: list[tuple[int, int, float]] = []
    for row, column in enumerate(crossing.argmin(axis=1)):
        if crossing[:, column].argmin() != row:
            continue
        shot, val = int(shots[row]), int(measured[column])
        around = np.concatenate([np.delete(distances[shot], val), np.delete(distances[val], shot)])
        nearest = float(around.min())
        ratio = float(crossing[row, column]) / nearest if nearest > 0 else 1.0
        if np.isfinite(nearest) and ratio <= MAX_RATIO:
            pairs.append((shot, val, ratio))
    return pairs


def _cosine_distances(features: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled = (features - features.mean(axis=0)) / deviations(features)
    unit = scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-9)
    return np.asarray(np.maximum(1 - unit @ unit.T, 0), dtype=np.float32)


def aligned_correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """The largest normalized correlation, -1..1, of the center of one thumbnail with any place in the other.

    first, second  uint8 (S, S), gray. Either may be enlarged up to 1.6 times (a crop of the other) or mirrored. Slow
    changes are removed first, or any two images under the same lamp would agree.
    """
    one, two = first.astype(np.float64), second.astype(np.float64)
    best = -1.0
    for other in (two, two[:, ::-1]):
        best = max(best, _search(one, other))
        for zoom in _ZOOMS:
            best = max(best, _search(_enlarged(one, zoom), other), _search(one, _enlarged(other, zoom)))
    return best


def _search(field: Plane, pattern: Plane) -> float:
    """Template matching: the center of `pattern` at every place of `field`; sums by FFT and integral images."""
    side = len(field)
    edge = round(side * (1 - _CENTRE) / 2)
    field, template = _detail(field), _detail(pattern)[edge : side - edge, edge : side - edge]
    template = template - template.mean()
    size, places = len(template), side - len(template) + 1
    spectrum = np.fft.rfft2(field) * np.conj(np.fft.rfft2(template, (side, side)))
    products = np.fft.irfft2(spectrum, (side, side))[:places, :places]
    energy = _window_sums(field * field, size) - _window_sums(field, size) ** 2 / size**2
    scale = np.sqrt(np.maximum(energy, 0) * float((template * template).sum()))
    # a field without detail agrees with nothing
    agreement = np.divide(products, scale, out=np.zeros_like(products), where=scale > size**2)
    return float(agreement.max())


def _detail(plane: Plane) -> Plane:
    reach = max(1, round(len(plane) * _SMOOTH))
    padded = np.pad(plane, reach, mode="reflect")
    return plane - _window_sums(padded, 2 * reach + 1) / (2 * reach + 1) ** 2


def _window_sums(plane: Plane, size: int) -> Plane:
    """Sums over all size x size windows."""
    total = np.pad(plane, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    return np.asarray(total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size])


def _enlarged(plane: Plane, zoom: float) -> Plane:
    side = len(plane)
    inner = round(side / zoom)
    start = (side - inner) // 2
    cut = Image.fromarray(plane[start : start + inner, start : start + inner].astype(np.float32))
    return np.asarray(cut.resize((side, side), Image.Resampling.BILINEAR), dtype=np.float64)
