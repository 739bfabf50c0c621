"""Whether one picture was made from another: encoded again, rescaled, brightened, mirrored, turned or a little trimmed.

Two parts of one make under a camera that does not move look alike as closely as copies do; what they do not share is
detail: grain, dust and the noise of the sensor. Of a copy nearly every patch agrees in its finest detail, the plain
ones too, and nothing differs in one place much more than elsewhere, as a scratch or a missing part does. Where encoding
took that detail away nobody can tell, and the answer is no.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from edgetl.checks.copies.near_duplicates import SAME, detail
from edgetl.checks.copies.registration import TURNS, moved, registered, turned

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST = 256  # pixels of the side at which both are laid onto each other; compared at half of it
_LEAST = 96  # below, a picture has too few patches
_YCC = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]], np.float32)
_PATCH = 8  # pixels of a patch's side
_LIKELY = 2  # turns tried; all eight of a ring look alike, and that of a copy fits best
_STEPS = 4  # of registration at full detail; it begins at that of the thumbnails
_FAINT = 0.01  # grey levels of detail below which a patch holds none; reducing a large picture averages noise away
_PATCHES = 0.25  # share of the patches that must hold detail: a drawing has nothing to be recognised by
_TYPICAL = 0.9  # correlation of detail, median of the patches
_WEAKEST = 0.5  # the same, tenth percentile; measured: new noise on one drawn board 0.2 at most
_DIFFERENCE = 5.0  # grey levels between both; copies of JPEG quality 60 have 1 to 4
_OUTLIER = 3.5  # largest difference of a patch over the median; most copies 1 to 3, a scratch 6 and more
_SMALL = 0.06  # of the same scale: what rounding leaves


def is_same(
    first: NDArray[np.uint8], second: NDArray[np.uint8], thumbnails: tuple[NDArray[np.uint8], NDArray[np.uint8]]
) -> bool:
    """Whether one of two near pictures, uint8 (h, w, 3) RGB, was made from the other. `thumbnails`: uint8 (S, S), grey.

    False for pictures that are too small or too plain to tell, and for those encoded so coarsely that the detail is
    lost; True as well for two recordings without noise of a scene that did not change: in them nothing differs.
    """
    side = min(_MOST, *(int((picture.shape[0] * picture.shape[1]) ** 0.5) for picture in (first, second)))
    side -= side % (2 * _PATCH)
    if side < _LEAST:
        return False
    one, other = _planes(first, side), _planes(second, side)
    small = np.stack(thumbnails).astype(np.float32)
    all_turns = np.concatenate([turned(small[1:], turn) for turn in range(TURNS)])
    values, fits = registered(np.repeat(small[:1], TURNS, axis=0), all_turns)
    likely = [int(turn) for turn in np.argsort(-values, kind="stable")[:_LIKELY] if values[turn] >= SAME]
    return any(_agree(one, turned(other, turn), fits[turn : turn + 1]) for turn in likely)


def _planes(rgb: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """(3, side, side): luma, and what blue and red differ from it (JFIF 1.02, full range, centred at 0). Nothing is
    rounded, which would drown the noise of a large picture."""
    channels = [Image.fromarray(channel.astype(np.float32)) for channel in np.moveaxis(rgb, 2, 0)]
    scaled = np.stack([np.asarray(channel.resize((side, side), Image.Resampling.BILINEAR)) for channel in channels])
    planes: NDArray[np.float32] = np.tensordot(_YCC, scaled, axes=1)
    return planes


def _agree(first: NDArray[np.float32], second: NDArray[np.float32], fit: NDArray[np.float32]) -> bool:
    fit = registered(first[:1], second[:1], _STEPS, fit)[1]
    laid, mask = moved(second, np.repeat(fit, 3, axis=0))
    first, laid, inside = _halved(first), _halved(laid), _halved(mask)[0] == 1
    laid = _as_bright(laid, first, inside)
    held = _patches(inside[None].astype(np.float32)).min(axis=1) == 1
    # encoders keep little of the detail of colour
    details = [_patches(detail(picture[:1], 1))[held] for picture in (first, laid)]
    apart = first - laid
    apart[1:] = _blurred(apart[1:])
    difference = _rms(_patches(apart)[held])
    # what encoding changes grows with the contrast of a patch
    relative = difference / (2 + 0.25 * _patches(first[:1])[held].std(axis=1))
    return (
        bool(held.any())
        and _same_detail(details[0], details[1])
        and float(np.sqrt((difference**2).mean())) <= _DIFFERENCE
        and float(relative.max()) <= _OUTLIER * (float(np.median(relative)) + _SMALL)
    )


def _same_detail(first: NDArray[np.float32], second: NDArray[np.float32]) -> bool:
    """Whether the detail in (P, pixels) patches agrees, in those where both have some."""
    strength, other = _rms(first), _rms(second)
    speaks = np.minimum(strength, other) > _FAINT
    if speaks.sum() < _PATCHES * len(speaks) or not speaks.any():
        return False
    agreement = (first[speaks] * second[speaks]).mean(axis=1) / (strength[speaks] * other[speaks])
    return bool(np.median(agreement) >= _TYPICAL and np.percentile(agreement, 10) >= _WEAKEST)


def _as_bright(
    picture: NDArray[np.float32], wanted: NDArray[np.float32], inside: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """One gain for all planes and one offset of luma, by least squares: light and contrast may differ, colours not."""
    known, aim = picture[0, inside], wanted[0, inside]
    spread = known - known.mean()
    gain = float((spread * aim).sum()) / max(float((spread**2).sum()), 1e-6)
    bright = (gain * picture).astype(np.float32)
    bright[0] += aim.mean() - gain * known.mean()
    return bright


def _blurred(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of half a patch's side, in place of its pixels."""
    count, size = planes.shape[1] * 2 // _PATCH, _PATCH // 2
    means = planes.reshape(len(planes), count, size, count, size).mean(axis=(2, 4))
    blurred: NDArray[np.float32] = means.repeat(size, axis=1).repeat(size, axis=2)
    return blurred


def _halved(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    half = planes.shape[1] // 2
    halved: NDArray[np.float32] = planes.reshape(len(planes), half, 2, half, 2).mean(axis=(2, 4))
    return halved


def _patches(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(P, C * 64) of (C, S, S)."""
    channels, side = planes.shape[:2]
    count = side // _PATCH
    cut = planes.reshape(channels, count, _PATCH, count, _PATCH).transpose(1, 3, 0, 2, 4)
    return cut.reshape(count * count, -1)


def _rms(patches: NDArray[np.float32]) -> NDArray[np.float32]:
    rms: NDArray[np.float32] = np.sqrt((patches**2).mean(axis=1))
    return rms
