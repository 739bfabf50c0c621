"""Latency of texts: that of the median length counts, and every length is timed for the table."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgetl.bench.latency import BLOCK
from edgetl.bench.timed import Timing, by_length, typical
from edgetl.types import Placement

if TYPE_CHECKING:
    from edgetl.types import Tensors


class Recorder:
    """An engine that counts the lengths it is shown."""

    def __init__(self) -> None:
        self.shown: Counter[tuple[int, ...]] = Counter()

    def infer(self, inputs: Tensors) -> Tensors:
        self.shown[inputs["tokens"].shape] += 1
        return {"logits": np.zeros((1, 2), np.float32)}

    def placement(self) -> Placement:
        return Placement(())


def _texts(*lengths: int) -> list[NDArray[np.int32]]:
    return [np.full(length, number, np.int32) for number, length in enumerate(lengths)]


def test_texts_of_the_median_length_are_typical() -> None:
    found = typical(_texts(16, 128, 32, 32, 64))
    assert [(len(each), each[0]) for each in found] == [(32, 2), (32, 3)]


def test_of_an_even_number_of_texts_the_shorter_middle_one_counts() -> None:
    assert [len(each) for each in typical(_texts(16, 64))] == [16]


def test_images_of_one_size_are_all_typical() -> None:
    images = [np.full((8, 8, 3), number, np.uint8) for number in range(5)]
    assert [each[0, 0, 0] for each in typical(images)] == [0, 1, 2, 3, 4]


def test_at_most_sixteen_are_shown_from_the_first_to_the_last() -> None:
    found = [int(each[0]) for each in typical(_texts(*[16] * 100))]
    assert len(found) == 16
    assert (found[0], found[-1]) == (0, 99)


def test_every_length_is_timed_once_by_every_engine() -> None:
    engines = {"float32": Recorder(), "int8": Recorder()}
    rows = by_length(engines, _texts(64, 16, 64), Timing(runs=300, warmup=1, threads=1))
    assert [(row.tokens, row.texts) for row in rows["int8"]] == [(16, 1), (64, 2)]
    assert all(row.p50_ms is not None and row.speedup is not None for row in rows["int8"])
    assert all(row.speedup is None for row in rows["float32"])
    assert set(engines["int8"].shown) == {(1, 16), (1, 64)}
    assert engines["int8"].shown[1, 16] >= 10 * BLOCK
    assert engines["int8"].shown == engines["float32"].shown
