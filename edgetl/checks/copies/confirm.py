"""Whether one image was made from another: re-encoded, rescaled, brightened, mirrored, turned or slightly trimmed.

Two units of one product under a fixed camera look as similar as copies. They do not share detail: grain, dust and
sensor noise. In a copy, nearly every patch agrees in its finest detail, including plain patches, and no place differs
much more than the others, as a scratch or a missing part would. If encoding removed that detail, the answer is no.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from edgetl.checks.copies.near_duplicates import SAME, detail
from edgetl.checks.copies.registration import TURNS, move, registered, turned

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST = 256  # side in pixels at which both are aligned; they are compared at half of it
_LEAST = 96  # a smaller image has too few patches
_YCC = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]], np.float32)
_PATCH = 8  # pixels of a patch's side
_LIKELY = 2  # orientations tried; all eight of a ring look alike, and a copy fits best
_STEPS = 4  # registration at full detail; it starts from that of the thumbnails
_FAINT = 0.01  # gray levels of detail below which a patch has none; reducing a large image averages noise away
_PATCHES = 0.25  # share of the patches that must have detail: a drawing has nothing to recognize it by
_TYPICAL = 0.9  # correlation of detail, median of the patches
_WEAKEST = 0.5  # the same, tenth percentile; measured: new noise on one drawn board 0.2 at most
_DIFFERENCE = 5.0  # gray levels between both; copies of JPEG quality 60 have 1 to 4
_OUTLIER = 3.5  # largest difference of a patch over the median; most copies 1 to 3, a scratch 6 and more
_SMALL = 0.06  # of the same scale: rounding errors


def is_same(
    first: NDArray[np.uint8], second: NDArray[np.uint8], thumbnails: tuple[NDArray[np.uint8], NDArray[np.uint8]]
) -> bool:
    """Whether one of two similar images, uint8 (h, w, 3) RGB, was made from the other. `thumbnails`: uint8 (S, S),
    gray.

    False for images that are too small or too plain to tell, and for those encoded so coarsely that the detail is
    lost. Also True for two noise-free recordings of an unchanged scene, because nothing differs in them.
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
    """(3, side, side): luma, and the differences of blue and red from it (JFIF 1.02, full range, centered at 0).
    Nothing is rounded, because that would hide the noise of a large image."""
    channels = [Image.fromarray(channel.astype(np.float32)) for channel in np.moveaxis(rgb, 2, 0)]
    scaled = np.stack([np.asarray(channel.resize((side, side), Image.Resampling.BILINEAR)) for channel in channels])
    planes: NDArray[np.float32] = np.tensordot(_YCC, scaled, axes=1)
    return planes


def _agree(first: NDArray[np.float32], second: NDArray[np.float32], fit: NDArray[np.float32]) -> bool:
    fit = registered(first[:1], second[:1], _STEPS, fit)[1]
    laid, mask = move(second, np.repeat(fit, 3, axis=0))
    first, laid, inside = _halved(first), _halved(laid), _halved(mask)[0] == 1
    laid = _as_bright(laid, first, inside)
    held = _patches(inside[None].astype(np.float32)).min(axis=1) == 1
    # encoders keep little detail of color
    details = [_patches(detail(picture[:1], 1))[held] for picture in (first, laid)]
    apart = first - laid
    apart[1:] = _blurred(apart[1:])
    difference = _rms(_patches(apart)[held])
    # changes by encoding grow with the contrast of a patch
    relative = difference / (2 + 0.25 * _patches(first[:1])[held].std(axis=1))
    return (
        bool(held.any())
        and _same_detail(details[0], details[1])
        and float(np.sqrt((difference**2).mean())) <= _DIFFERENCE
        and float(relative.max()) <= _OUTLIER * (float(np.median(relative)) + _SMALL)
    )


def _same_detail(first: NDArray[np.float32], second: NDArray[np.float32]) -> bool:
    """Whether the detail in (P, pixels) patches agrees, where both have some."""
    strength, other = _rms(first), _rms(second)
    speaks = np.minimum(strength, other) > _FAINT
    if speaks.sum() < _PATCHES * len(speaks) or not speaks.any():
        return False
    agreement = (first[speaks] * second[speaks]).mean(axis=1) / (strength[speaks] * other[speaks])
    return bool(np.median(agreement) >= _TYPICAL and np.percentile(agreement, 10) >= _WEAKEST)


def _as_bright(
    picture: NDArray[np.float32], wanted: NDArray[np.float32], inside: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """One gain for all planes and one offset of luma, by least squares: light and contrast may differ, but not
    colors."""
    known, aim = picture[0, inside], wanted[0, inside]
    spread = known - known.mean()
    gain = float((spread * aim).sum()) / max(float((spread**2).sum()), 1e-6)
    bright = (gain * picture).astype(np.float32)
    bright[0] += aim.mean() - gain * known.mean()
    return bright


def _blurred(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each pixel replaced by the mean over half a patch's side."""
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
