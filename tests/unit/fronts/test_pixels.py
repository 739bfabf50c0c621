"""Pixels by number: the same ones, whether they are kept or decoded again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgetl.errors import DataError
from edgetl.fronts import pixels as module
from edgetl.fronts.batches import load_batch
from edgetl.fronts.pixels import Pixels
from edgetl.types import ImagePreprocessing, Sample

SMALL = ImagePreprocessing(4, 6, "squash", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    for i in range(5):
        Image.new("RGB", (10, 20), (i, 10 * i, 20 * i)).save(tmp_path / f"{i}.png")
    return [Sample(str(tmp_path / f"{i}.png"), 0, "") for i in range(5)]


@pytest.mark.parametrize("keep", [False, True])
def test_images_come_by_number_in_the_order_asked_for(samples: list[Sample], keep: bool) -> None:
    pixels = Pixels(samples, SMALL)
    if keep:
        pixels.keep()
    assert (pixels[[3, 0, 3]] == load_batch([samples[3], samples[0], samples[3]], SMALL)).all()
    assert [len(batch) for batch in pixels.batches(2)] == [2, 2, 1]
    assert (np.concatenate(list(pixels.batches(2))) == load_batch(samples, SMALL)).all()


def test_what_is_kept_is_decoded_once(samples: list[Sample]) -> None:
    pixels = Pixels(samples, SMALL)
    pixels.keep()
    Path(samples[1].path).unlink()
    assert pixels[[1]].shape == (1, 4, 6, 3)


def test_more_than_fits_is_decoded_each_time(samples: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 5 * 4 * 6 * 3 - 1)
    pixels = Pixels(samples, SMALL)
    pixels.keep()
    Path(samples[1].path).unlink()
    with pytest.raises(DataError, match=r"1\.png"):
        pixels[[1]]
