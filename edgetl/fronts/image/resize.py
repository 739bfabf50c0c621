"""Resizes a decoded image to the network's input size, with integer rules that another language can repeat exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from edgetl.errors import DataError
from edgetl.fronts.image.decode import MAX_PIXELS
from edgetl.types import ImagePreprocessing, ResizePolicy
from edgetl.types.frames import frame_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

MIXED_SPREAD = 4.0
"""`auto_policy` letterboxes when the 90 % quantile of width/height is more than this times the 10 % quantile ...

High on purpose. Frozen ImageNet features of MobileNetV2 on 200 ImageNet images (10 %..90 %: 0.67..1.50, a spread of
2.2): squash 83.5 %, letterbox 72.5 %. Padding costs resolution, and networks rarely saw it in pretraining.
"""
SQUARE = 1.25
"""... and there are both portrait and landscape images: 10 % quantile below 1/SQUARE, 90 % quantile above SQUARE."""


def resize(rgb: NDArray[np.uint8], p: ImagePreprocessing) -> NDArray[np.uint8]:
    """Resize (h, w, 3) uint8 to (p.height, p.width, 3) uint8, C-contiguous.

    The filter is Pillow's: antialiased (its support widens with the reduction), first along x, then along y, rounded
    to uint8 after each. With H = p.height, W = p.width, `//` the floor division and div(a, b) = (2a + b) // (2b), the
    quotient of integers rounded half up:

    squash     resize to (H, W); the aspect ratio changes, nothing is lost.
    crop       H' = floor(H / crop_pct + 0.5), W' likewise, in IEEE doubles. If H' * w >= W' * h, resize to
               (H', max(W', div(w * H', h))), else to (max(H', div(h * W', w)), W'): the smallest size that covers
               (H', W'). Then keep H x W pixels from row (rows - H) // 2 and column (columns - W) // 2.
    letterbox  If H * w <= W * h, resize to (H, max(1, div(w * H, h))), else to (max(1, div(h * W, w)), W): the
               largest size inside (H, W). It starts at row (H - rows) // 2, column (W - columns) // 2; the rest has
               the color `fill`.
    letterbox-corner  the same from row 0, column 0.

    Raises DataError if `crop` would enlarge a very elongated image to more than MAX_PIXELS.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise ValueError(f"expected uint8 of shape (h, w, 3), found {rgb.dtype} of shape {rgb.shape}")
    if p.resize == "squash":
        return _sample(rgb, p.height, p.width, p)
    return _crop(rgb, p) if p.resize == "crop" else _letterbox(rgb, p)


def auto_policy(sizes: Sequence[tuple[int, int]]) -> tuple[ResizePolicy, str]:
    """Choose how images of these sizes, (height, width) in pixels, are resized; the second value says why.

    Never `crop`: the part it cuts off may determine the class. `squash` keeps every pixel and uses the whole input; it
    stretches images of equal shape equally, which the network learns. Only a strong mix of portrait and landscape
    images stretches the same object in opposite directions; then `letterbox` keeps the shape at the price of padding.
    Raises ValueError without sizes.
    """
    if not sizes:
        raise ValueError("expected at least one (height, width)")
    aspects = np.array([width / height for height, width in sizes])
    low, median, high = (float(q) for q in np.quantile(aspects, (0.1, 0.5, 0.9)))
    seen = f"width/height of {len(sizes)} images: 10 % {low:.2f}, median {median:.2f}, 90 % {high:.2f}"
    if low < 1 / SQUARE and high > SQUARE and high > MIXED_SPREAD * low:
        return "letterbox", f"{seen}; portrait and landscape are mixed: padding keeps shapes, a crop would cut off ends"
    if low >= 1 / SQUARE and high <= SQUARE:
        return "squash", f"{seen}; nearly square: squashing keeps everything with little distortion"
    how = "distorts all equally" if high <= SQUARE**2 * low else "loses less resolution than padding"
    return "squash", f"{seen}; a center crop would cut off ends, squashing keeps everything and {how}"


def _crop(rgb: NDArray[np.uint8], p: ImagePreprocessing) -> NDArray[np.uint8]:
    h, w = rgb.shape[:2]
    frame = frame_of(h, w, p)
    if frame.rows * frame.columns > MAX_PIXELS:
        raise DataError(
            f"an image of {w}x{h} pixels is too elongated for `resize: crop` ({frame.columns}x{frame.rows} before "
            "cropping); use squash or letterbox"
        )
    resized = _sample(rgb, frame.rows, frame.columns, p)
    top, left = -frame.top, -frame.left
    return np.ascontiguousarray(resized[top : top + p.height, left : left + p.width])


def _letterbox(rgb: NDArray[np.uint8], p: ImagePreprocessing) -> NDArray[np.uint8]:
    frame = frame_of(rgb.shape[0], rgb.shape[1], p)
    canvas = np.empty((p.height, p.width, 3), np.uint8)
    canvas[:] = p.fill
    inside = canvas[frame.top : frame.top + frame.rows, frame.left : frame.left + frame.columns]
    inside[:] = _sample(rgb, frame.rows, frame.columns, p)
    return canvas


def _sample(rgb: NDArray[np.uint8], rows: int, columns: int, p: ImagePreprocessing) -> NDArray[np.uint8]:
    # one axis at a time: their order affects the rounding, and Pillow's releases choose differently
    wide = Image.fromarray(rgb).resize((columns, rgb.shape[0]), _FILTERS[p.interpolation])
    return np.array(wide.resize((columns, rows), _FILTERS[p.interpolation]), dtype=np.uint8)
