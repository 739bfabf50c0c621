"""Detects information that decoding loses or chooses: further pages, transparency, bits, channels, color profiles.

`edgetl.fronts.image.decode` defines how each is read; this module detects it, so that it can be counted and named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin

from edgetl.fronts.image.decode import as_rgb, opened, orientation, read_bytes
from edgetl.types import Trait

if TYPE_CHECKING:
    from PIL.ImageFile import _Tile

_SAMPLES_PER_PIXEL = 277  # TIFF 6.0
_WITH_PAGES = ("GIF", "WEBP", "TIFF", "PNG", "MPO", "AVIF")
_CONVERTED = ("CMYK", "LAB", "YCbCr", "HSV")


@dataclass(frozen=True)
class Seen:
    """A readable image: its size in pixels after rotation, and the information that decoding loses."""

    height: int
    width: int
    traits: tuple[Trait, ...] = ()


def examine(path: Path) -> Seen:
    """Decode an image once; returns its size and the information that was lost. Raises UnreadableImage."""
    data, where = read_bytes(path), str(path)
    with opened(data, where) as image:
        deep = any(_is_deep(tile) for tile in image.tile)
        image.load()
        height, width = as_rgb(image, where).shape[:2]
        turn = orientation(image)
        traits = [*_of_values(image, where, deep=deep), *_of_color(image, where)]
        if turn != 1:
            traits.append(Trait(where, "turned"))
        several = image.format in _WITH_PAGES
    if several:
        traits += _of_pages(data, where)
    return Seen(*((width, height) if turn >= 5 else (height, width)), tuple(traits))


def _is_deep(tile: _Tile) -> bool:
    """Whether the file has more than 8 bits per value, by how Pillow reads it."""
    arguments = tile.args if isinstance(tile.args, tuple) else (tile.args,)
    deep_mode = any(isinstance(each, str) and ";16" in each for each in arguments)
    return deep_mode or (tile.codec_name == "ppm" and any(isinstance(each, int) and each > 255 for each in arguments))


def _of_values(image: ImageFile.ImageFile, where: str, *, deep: bool) -> Iterator[Trait]:
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image)
        yield Trait(where, "16 bit", low=int(values.min()), high=int(values.max()))
    elif deep:
        yield Trait(where, "16 bit colour")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        stored = image.tag_v2.get(_SAMPLES_PER_PIXEL, 1)
        if isinstance(stored, int) and stored > max(len(image.getbands()), 3):
            yield Trait(where, "channels", high=stored)


def _of_color(image: ImageFile.ImageFile, where: str) -> Iterator[Trait]:
    if image.mode in _CONVERTED:
        yield Trait(where, "converted", detail=image.mode)
    if image.has_transparency_data and image.mode != "I;16":
        lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
        if isinstance(lowest, (int, float)) and lowest < 255:
            yield Trait(where, "transparent")
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes) and profile and not any(name in profile for name in (b"sRGB", _WIDE_SRGB)):
        yield Trait(where, "profile")


_WIDE_SRGB = "sRGB".encode("utf-16-be")  # ICC.1:2022 stores names so


def _of_pages(data: bytes, where: str) -> Iterator[Trait]:
    with opened(data, where) as image:
        pages = _pages(image)
    if pages > 1:
        yield Trait(where, "pages", high=pages)


def _pages(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # anything after the first image may be damaged: only the first is used
        return 1
