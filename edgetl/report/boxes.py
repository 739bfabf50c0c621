"""Images with boxes on them, as the page draws them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from edgetl.errors import DataError
from edgetl.fronts.image.decode import decode

BoxKind = Literal["truth", "missed", "right", "wrong", "suspect"]
"""A labeled object that was found or not; a reported object that is right or wrong; a labeled one to look at."""
_SIDE = 360
_TEXT = 30  # of the image's longer side is the height of a line


@dataclass(frozen=True)
class DrawnBox:
    """A rectangle in pixels of the image. title  when pointed at; caption  on the image, if it is not empty"""

    kind: BoxKind
    x: float
    y: float
    width: float
    height: float
    title: str
    caption: str = ""

    @staticmethod
    def of(kind: BoxKind, corners: Sequence[float], title: str, caption: str = "") -> DrawnBox:
        """corners  x0, y0, x1, y1"""
        x0, y0, x1, y1 = (round(float(value), 1) for value in corners)
        return DrawnBox(kind, x0, y0, round(max(x1 - x0, 0.0), 1), round(max(y1 - y0, 0.0), 1), title, caption)


@dataclass(frozen=True)
class Photo:
    """One image as a data URI. `width` and `height` are those of the file, in which boxes are drawn."""

    source: str
    width: int
    height: int

    @property
    def text_height(self) -> float:
        """Of captions, in the same pixels."""
        return round(max(self.width, self.height) / _TEXT, 1)


def photo(path: Path, side: int = _SIDE) -> Photo | None:
    """The image as a JPEG of at most `side` pixels; None if it can no longer be read."""
    try:
        picture = Image.fromarray(decode(path))
    except DataError:
        return None
    width, height = picture.size
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=82, optimize=True)
    source = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Photo(source, width, height)
