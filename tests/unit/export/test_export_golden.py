from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from edgetl.data.images import decode
from edgetl.data.resize import resize
from edgetl.export.golden import choose, write_images
from edgetl.types import Preprocessing, Sample

P = Preprocessing(16, 16, "squash", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def _sample(folder: Path, name: str, size: tuple[int, int], label: int = 0) -> Sample:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return Sample(str(folder / name), label, "")


def test_the_picture_is_the_source_of_the_input_beside_it(tmp_path: Path) -> None:
    inputs = write_images([_sample(tmp_path, "a.png", (40, 30))], P, tmp_path / "golden")
    again = resize(decode(tmp_path / "golden" / "0.png"), P)
    np.testing.assert_array_equal(again, inputs[0])
    np.testing.assert_array_equal(np.load(tmp_path / "golden" / "0.input.npy", allow_pickle=False), again)


def test_large_pictures_are_scaled_down_to_512(tmp_path: Path) -> None:
    write_images([_sample(tmp_path, "a.png", (1024, 600))], P, tmp_path / "golden")
    with Image.open(tmp_path / "golden" / "0.png") as picture:
        assert picture.size == (512, 300)


def test_golden_images_show_as_many_classes_as_possible() -> None:
    samples = [Sample(str(i), label, "") for i, label in enumerate([0, 0, 0, 1, 1, 2])]
    assert [sample.path for sample in choose(samples, 4)] == ["0", "1", "3", "5"]


def test_fewer_samples_than_wanted_are_all_taken() -> None:
    assert len(choose([Sample("a", 0, "")], 4)) == 1
