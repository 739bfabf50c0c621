from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from edgetl.fronts.image.decode import decode
from edgetl.fronts.image.resize import resize
from edgetl.pivot.golden import choose, write_examples
from edgetl.types import ImagePreprocessing, Sample

P = ImagePreprocessing(16, 16, "squash", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def _sample(folder: Path, name: str, size: tuple[int, int], label: int = 0) -> Sample:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return Sample(str(folder / name), label, "")


def test_the_picture_is_the_source_of_the_input_beside_it(tmp_path: Path) -> None:
    (inputs,), names = write_examples([_sample(tmp_path, "a.png", (40, 30))], P, tmp_path / "golden")
    rgb = decode(tmp_path / "golden" / names[0])
    np.testing.assert_array_equal(np.load(tmp_path / "golden" / "0.rgb.npy", allow_pickle=False), rgb)
    again = resize(rgb, P)
    np.testing.assert_array_equal(again, inputs[0])
    np.testing.assert_array_equal(np.load(tmp_path / "golden" / "0.input.npy", allow_pickle=False), again)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_small_picture_is_kept_as_it_came(tmp_path: Path, name: str) -> None:
    sample = _sample(tmp_path, name, (40, 30))
    _, names = write_examples([sample], P, tmp_path / "golden")
    assert (tmp_path / "golden" / names[0]).read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.parametrize(("name", "kept"), [("a.png", "0.png"), ("a.jpg", "0.jpg"), ("a.bmp", "0.png")])
def test_large_pictures_are_scaled_down_to_384(tmp_path: Path, name: str, kept: str) -> None:
    _, names = write_examples([_sample(tmp_path, name, (1024, 600))], P, tmp_path / "golden")
    assert names == (kept,)
    with Image.open(tmp_path / "golden" / kept) as picture:
        assert picture.size == (384, 225)


def test_where_and_when_a_picture_was_taken_does_not_travel(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x9003] = 6, "2026:01:02 03:04:05"
    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.jpg", exif=exif)
    _, names = write_examples([Sample(str(tmp_path / "a.jpg"), 0, "")], P, tmp_path / "golden")
    with Image.open(tmp_path / "golden" / names[0]) as picture:
        assert not picture.getexif()
        assert picture.size == (30, 40)


@pytest.mark.parametrize("kind", ["xmp", "comment", "text"])
def test_texts_in_a_picture_do_not_travel(tmp_path: Path, kind: str) -> None:
    secret, picture = b"taken at home", Image.new("RGB", (40, 30), "red")
    path = tmp_path / ("a.png" if kind == "text" else "a.jpg")
    if kind == "text":
        behind = PngImagePlugin.PngInfo()
        behind.add(b"tEXt", b"Location\0" + secret, after_idat=True)
        picture.save(path, pnginfo=behind)
    elif kind == "xmp":
        picture.save(path, xmp=secret)
    else:
        picture.save(path, comment=secret)
    assert secret in path.read_bytes()
    _, names = write_examples([Sample(str(path), 0, "")], P, tmp_path / "golden")
    assert secret not in (tmp_path / "golden" / names[0]).read_bytes()


def test_golden_images_show_as_many_classes_as_possible() -> None:
    samples = [Sample(str(i), label, "") for i, label in enumerate([0, 0, 0, 1, 1, 2])]
    assert [sample.path for sample in choose(samples, 4)] == ["0", "1", "3", "5"]


def test_fewer_samples_than_wanted_are_all_taken() -> None:
    assert len(choose([Sample("a", 0, "")], 4)) == 1
