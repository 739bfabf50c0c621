"""A copy is told from another object in the same pose by what two recordings do not share."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from edgetl.checks.copies.confirm import is_same
from edgetl.checks.copies.duplicates import _print

Picture = Image.Image


def photo(seed: int, size: int = 240) -> Picture:
    """Structure of all sizes, down to the grain."""
    rng = np.random.default_rng(seed)
    total = rng.normal(0, 5, (size, size, 3))
    for cells in (4, 10, 30, 80):
        layer = rng.normal(0, 60 / cells**0.3, (cells, cells, 3)).astype(np.float32)
        planes = [Image.fromarray(layer[..., c]).resize((size, size), Image.Resampling.BICUBIC) for c in range(3)]
        total += np.stack([np.asarray(plane) for plane in planes], axis=-1)
    return Image.fromarray(np.clip(total + 128, 0, 255).astype(np.uint8))


def board(size: int = 400, parts: int = 40) -> Picture:
    """A drawing of rectangles: every unit is drawn alike."""
    rng = np.random.default_rng(3)
    picture = Image.new("RGB", (size, size), (20, 90, 40))
    for _ in range(parts):
        (x, y), (width, height) = rng.uniform(0.05, 0.9, 2) * size, rng.uniform(0.03, 0.12, 2) * size
        color = tuple(rng.integers(0, 255, 3).tolist())
        ImageDraw.Draw(picture).rectangle((x, y, x + width, y + height), fill=color)
    return picture


def washer(scratched: bool = False) -> Picture:
    picture = Image.new("RGB", (300, 300), (120, 120, 125))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((45, 45, 255, 255), fill=(190, 190, 195))
    draw.ellipse((105, 105, 195, 195), fill=(120, 120, 125))
    if scratched:
        draw.line((75, 120, 93, 195), fill=(90, 90, 90), width=2)
    return picture


def pill(color: tuple[int, int, int]) -> Picture:
    picture = Image.new("RGB", (200, 200), (200, 200, 200))
    ImageDraw.Draw(picture).ellipse((60, 80, 140, 120), fill=color)
    return picture


def recorded(picture: Picture, seed: int, noise: float = 2.0) -> Picture:
    """With a sensor's noise of its own."""
    values = np.asarray(picture) + np.random.default_rng(seed).normal(0, noise, (*picture.size[::-1], 3))
    return Image.fromarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))


def encoded(picture: Picture, quality: int) -> Picture:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(io.BytesIO(stream.getvalue())).convert("RGB")


def same(first: Picture, second: Picture) -> bool:
    pixels: list[NDArray[np.uint8]] = [np.asarray(picture) for picture in (first, second)]
    return is_same(pixels[0], pixels[1], (_print(pixels[0])[1], _print(pixels[1])[1]))


COPIES: dict[str, Callable[[Picture], Picture]] = {
    "encoded again": lambda picture: encoded(picture, 80),
    "half the size": lambda picture: encoded(picture.resize((120, 120), Image.Resampling.BICUBIC), 90),
    "larger": lambda picture: picture.resize((333, 333), Image.Resampling.BICUBIC),
    "mirrored": lambda picture: encoded(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 90),
    "a quarter turn": lambda picture: encoded(picture.transpose(Image.Transpose.ROTATE_90), 90),
    "trimmed": lambda picture: encoded(picture.crop((5, 4, 240, 240)), 90),
    "darker": lambda picture: encoded(picture.point(lambda value: int(0.8 * value)), 90),
}


@pytest.mark.parametrize("change", list(COPIES))
def test_a_changed_copy_is_the_same_picture(change: str) -> None:
    for seed in range(3):
        assert same(photo(seed), COPIES[change](photo(seed)))
        assert same(COPIES[change](photo(seed)), photo(seed))


@pytest.mark.parametrize("quality", [None, 90])
@pytest.mark.parametrize("noise", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("size", [256, 400, 1200])
def test_two_units_of_one_drawn_board_are_not_the_same_picture(size: int, noise: float, quality: int | None) -> None:
    units = [recorded(board(size).crop((i, 2 * i, size - 4 + i, size - 4 + i)), i, noise) for i in (0, 1)]
    if quality:
        units = [encoded(unit, quality) for unit in units]
    assert not same(units[0], units[1])


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_another_object_in_the_same_pose_is_not_the_same_picture(noise: float) -> None:
    def record(picture: Picture, seed: int) -> Picture:
        return recorded(picture, seed, noise)

    assert not same(record(washer(), 0), record(washer(scratched=True), 1))
    assert not same(record(pill((200, 40, 40)), 0), record(pill((40, 40, 200)), 1))
    assert not same(record(board(), 0), record(board(parts=39), 1))


def test_a_scratch_on_the_very_same_photograph_is_seen() -> None:
    marked = photo(1)
    ImageDraw.Draw(marked).line((60, 60, 110, 100), fill=(20, 20, 20), width=2)
    assert not same(photo(1), encoded(marked, 95))


def test_channels_in_another_order_are_another_picture() -> None:
    red, green, blue = photo(1).split()
    assert not same(photo(1), Image.merge("RGB", (blue, green, red)))


@pytest.mark.parametrize("size", [8, 40, 90])
def test_a_picture_of_a_few_pixels_cannot_be_told(size: int) -> None:
    small = photo(1).resize((size, size))
    assert not same(small, encoded(small, 95))


def test_what_encoding_took_the_detail_from_cannot_be_told() -> None:
    assert not same(recorded(washer(), 0), encoded(recorded(washer(), 0), 30))
