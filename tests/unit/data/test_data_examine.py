"""What reading a picture does not keep is found out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.ImageCms import ImageCmsProfile

from edgetl.fronts.image.decode import UnreadableImage, decode
from edgetl.fronts.image.examine import Seen, examine
from edgetl.types import Trait


def kinds(seen: Seen) -> list[tuple[str, int, int]]:
    return [(trait.kind, trait.low, trait.high) for trait in seen.traits]


def saved(image: Image.Image, path: Path, **options: Any) -> Seen:
    image.save(path, **options)
    seen = examine(path)
    assert (seen.height, seen.width) == decode(path).shape[:2]
    return seen


@pytest.mark.parametrize("name", ["stack.gif", "stack.webp", "stack.tif", "stack.png"])
def test_many_pages_are_counted_and_the_first_is_read(name: str, tmp_path: Path) -> None:
    pages = [Image.new("RGB", (8, 6), color) for color in ("red", "green", "blue")]
    seen = saved(pages[0], tmp_path / name, save_all=True, append_images=pages[1:])
    assert kinds(seen) == [("pages", 0, 3)]


def test_a_plain_picture_has_nothing_to_tell(tmp_path: Path) -> None:
    gray = Image.new("L", (8, 6), 90)
    for name in ("a.png", "a.jpg", "a.gif", "a.tif", "a.webp", "a.bmp"):
        assert saved(gray, tmp_path / name).traits == (), name
    palette = Image.new("P", (8, 6))
    palette.putpalette([10, 20, 30, 200, 100, 0])
    assert saved(palette, tmp_path / "p.png").traits == ()


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_sixteen_bit_values_are_told_by_their_range(name: str, tmp_path: Path) -> None:
    twelve_bit = Image.fromarray(np.array([[7, 4095], [100, 200]], np.uint16))
    assert kinds(saved(twelve_bit, tmp_path / name)) == [("16 bit", 7, 4095)]


def test_sixteen_bit_color_loses_its_low_byte(tmp_path: Path) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P6\n2 2\n65535\n" + bytes(24))
    assert kinds(examine(tmp_path / "a.ppm")) == [("16 bit colour", 0, 0)]


def test_transparency_counts_only_where_something_is_transparent(tmp_path: Path) -> None:
    assert kinds(saved(Image.new("RGBA", (4, 4), (9, 9, 9, 255)), tmp_path / "opaque.png")) == []
    assert kinds(saved(Image.new("RGBA", (4, 4), (9, 9, 9, 254)), tmp_path / "clear.png")) == [("transparent", 0, 0)]


def test_turned_converted_and_profiled_pictures_are_told(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(Image.new("RGB", (8, 4)), tmp_path / "turned.jpg", exif=exif)
    assert (kinds(turned), turned.height, turned.width) == ([("turned", 0, 0)], 8, 4)
    ink = saved(Image.new("CMYK", (8, 8)), tmp_path / "ink.jpg")
    assert ink.traits == (Trait(str(tmp_path / "ink.jpg"), "converted", detail="CMYK"),)
    for name, told in (("sRGB", []), ("LAB", [("profile", 0, 0)])):
        profile = ImageCmsProfile(ImageCms.createProfile(name)).tobytes()  # type: ignore[arg-type]
        assert kinds(saved(Image.new("RGB", (8, 8)), tmp_path / f"{name}.png", icc_profile=profile)) == told


def test_what_is_no_picture_is_refused_as_when_it_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400))
    with pytest.raises(UnreadableImage, match="it is a HEIC image, which is not supported; convert it to JPEG"):
        examine(tmp_path / "a.png")
