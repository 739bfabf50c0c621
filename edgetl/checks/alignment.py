"""How well two thumbnails agree once one is cropped, shifted or mirrored onto the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_ZOOMS = (1.06, 1.12, 1.19, 1.26, 1.33, 1.41, 1.5, 1.6)  # half a step of misalignment costs a tenth of the correlation
_CENTRE = 0.7  # share of the side that is searched for in the other image
_SMOOTH = 0.125  # of the side: slower changes of brightness are light, not content

Plane = NDArray[np.float64]


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
