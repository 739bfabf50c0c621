"""Batches are the decoded and resized samples, in order, a few at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgetl.errors import DataError
from edgetl.fronts.batches import batches, load_batch, load_example
from edgetl.types import ImagePreprocessing, Sample

SMALL = ImagePreprocessing(4, 6, "squash", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    for i in range(5):
        Image.new("RGB", (10, 20), (i, 10 * i, 20 * i)).save(tmp_path / f"{i}.png")
    return [Sample(str(tmp_path / f"{i}.png"), 0, "") for i in range(5)]


def test_a_batch_keeps_the_order(samples: list[Sample]) -> None:
    batch = load_batch(samples, SMALL)
    assert batch.shape == (5, 4, 6, 3)
    assert batch.dtype == np.uint8
    assert batch[:, 0, 0].tolist() == [[i, 10 * i, 20 * i] for i in range(5)]
    assert (batch[3] == load_example(Path(samples[3].path), SMALL)).all()


def test_no_samples_are_an_empty_batch(samples: list[Sample]) -> None:
    assert load_batch([], SMALL).shape == (0, 4, 6, 3)
    assert list(batches([], SMALL, 2)) == []


@pytest.mark.parametrize(("size", "lengths"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_batches_join_to_the_whole(samples: list[Sample], size: int, lengths: list[int]) -> None:
    parts = list(batches(samples, SMALL, size))
    assert [len(part) for part in parts] == lengths
    assert (np.concatenate(parts) == load_batch(samples, SMALL)).all()


def test_batches_are_read_when_asked_for(samples: list[Sample]) -> None:
    parts = batches([samples[0], Sample("absent.png", 0, "")], SMALL, 1)
    assert next(parts).shape == (1, 4, 6, 3)
    with pytest.raises(DataError, match=r"absent\.png.*no such file"):
        next(parts)


def test_a_batch_of_nothing_is_a_mistake(samples: list[Sample]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        next(batches(samples, SMALL, 0))
