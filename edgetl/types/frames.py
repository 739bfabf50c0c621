"""Where a decoded image lies in the network's input, as integers, and the way back for coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgetl.types import ImagePreprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Frame:
    """An image of (height, width) pixels is resized to (rows, columns), and its first pixel lies at (top, left) of the
    input, which is negative where a part is cut off."""

    height: int
    width: int
    rows: int
    columns: int
    top: int
    left: int

    def to_input(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (K, 4), x0 y0 x1 y1, from image pixels to input pixels: x * (columns / width) + left, in float32."""
        scale, shift = _axes(self.columns, self.width, self.rows, self.height), self._shift()
        moved: NDArray[np.float32] = np.asarray(boxes, np.float32) * scale + shift
        return moved

    def to_image(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (K, 4) from input pixels to image pixels, clipped to the image: (x - left) * (width / columns), in
        float32: one division, one subtraction, one multiplication, in this order, so that C++ gives the same bits."""
        scale = _axes(self.width, self.columns, self.height, self.rows)
        moved = (np.asarray(boxes, np.float32) - self._shift()) * scale
        limits = np.array([self.width, self.height, self.width, self.height], np.float32)
        clipped: NDArray[np.float32] = np.minimum(np.maximum(moved, np.float32(0)) + np.float32(0), limits)  # no -0.0
        return clipped

    def _shift(self) -> NDArray[np.float32]:
        return np.array([self.left, self.top, self.left, self.top], np.float32)


def frame_of(height: int, width: int, p: ImagePreprocessing) -> Frame:
    """Where `edgetl.fronts.image.resize.resize` puts an image of (height, width) pixels, by the rules stated there."""
    if p.resize == "squash":
        return Frame(height, width, p.height, p.width, 0, 0)
    if p.resize == "crop":
        return _cropped(height, width, p)
    if p.height * width <= p.width * height:
        rows, columns = p.height, max(1, _div(width * p.height, height))
    else:
        rows, columns = max(1, _div(height * p.width, width)), p.width
    corner = p.resize == "letterbox-corner"
    top, left = (0, 0) if corner else ((p.height - rows) // 2, (p.width - columns) // 2)
    return Frame(height, width, rows, columns, top, left)


def _cropped(height: int, width: int, p: ImagePreprocessing) -> Frame:
    cover_h, cover_w = math.floor(p.height / p.crop_pct + 0.5), math.floor(p.width / p.crop_pct + 0.5)
    if cover_h * width >= cover_w * height:
        rows, columns = cover_h, max(cover_w, _div(width * cover_h, height))
    else:
        rows, columns = max(cover_h, _div(height * cover_w, width)), cover_w
    return Frame(height, width, rows, columns, -((rows - p.height) // 2), -((columns - p.width) // 2))


def _axes(x: int, x_of: int, y: int, y_of: int) -> NDArray[np.float32]:
    """(4,): the two ratios for x0 y0 x1 y1, each one division in float32."""
    horizontal, vertical = np.float32(x) / np.float32(x_of), np.float32(y) / np.float32(y_of)
    return np.array([horizontal, vertical, horizontal, vertical], np.float32)


def _div(a: int, b: int) -> int:
    return (2 * a + b) // (2 * b)
