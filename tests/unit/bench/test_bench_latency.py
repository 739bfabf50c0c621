from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.bench.latency import interleaved
from edgetl.types import Placement

IMAGES = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((3, 2, 2, 3), np.uint8)


class Recorder:
    """An engine that writes down who was called with which image."""

    def __init__(self, name: str, calls: list[tuple[str, int]]) -> None:
        self.name = name
        self.calls = calls
        self.garbage_collection: set[bool] = set()

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        image = inputs["image"]
        assert image.shape == (1, 2, 2, 3)
        assert image.dtype == np.uint8
        self.calls.append((self.name, int(image[0, 0, 0, 0])))
        self.garbage_collection.add(gc.isenabled())
        return {"logits": np.zeros((1, 2), np.float32)}

    def placement(self) -> Placement:
        return Placement(())


def ticking(step: int) -> Iterator[int]:
    return count(0, step)


def test_every_round_shows_one_image_to_every_engine_and_images_go_round() -> None:
    calls: list[tuple[str, int]] = []
    engines = {name: Recorder(name, calls) for name in ("a", "b")}
    interleaved(engines, IMAGES, runs=7, warmup=0, seed=0)
    rounds = [calls[index : index + 2] for index in range(0, 14, 2)]
    assert all({name for name, _ in turn} == {"a", "b"} for turn in rounds)
    assert [turn[0][1] for turn in rounds] == [turn[1][1] for turn in rounds] == [0, 1, 2, 0, 1, 2, 0]


def test_the_order_in_a_round_changes_and_repeats_with_its_seed() -> None:
    def order(seed: int) -> list[str]:
        calls: list[tuple[str, int]] = []
        interleaved({name: Recorder(name, calls) for name in ("a", "b")}, IMAGES, runs=40, warmup=0, seed=seed)
        return [name for name, _ in calls[::2]]

    assert 10 < order(1).count("a") < 30
    assert order(1) == order(1)
    assert order(1) != order(2)


def test_warm_up_rounds_are_run_and_not_counted() -> None:
    calls: list[tuple[str, int]] = []
    times = interleaved({"a": Recorder("a", calls)}, IMAGES, runs=5, warmup=4, seed=0)
    assert len(calls) == 9
    assert times["a"].shape == (5,)
    assert times["a"].dtype == np.int64


def test_the_time_of_a_run_is_the_clock_s_difference_around_it() -> None:
    clock = ticking(step=250)
    times = interleaved({"a": Recorder("a", [])}, IMAGES, runs=3, warmup=2, seed=0, clock=lambda: next(clock))
    assert times["a"].tolist() == [250, 250, 250]


@pytest.mark.parametrize("was_on", [True, False])
def test_garbage_collection_is_off_while_timing_and_afterwards_as_before(was_on: bool) -> None:
    recorder = Recorder("a", [])
    (gc.enable if was_on else gc.disable)()
    try:
        interleaved({"a": recorder}, IMAGES, runs=2, warmup=1, seed=0)
        assert gc.isenabled() is was_on
    finally:
        gc.enable()
    assert recorder.garbage_collection == {False}


def test_garbage_collection_comes_back_after_an_error() -> None:
    class Broken(Recorder):
        def infer(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        interleaved({"a": Broken("a", [])}, IMAGES, runs=2, warmup=0, seed=0)
    assert gc.isenabled()


def test_progress_counts_warm_up_and_runs() -> None:
    steps: list[int] = []
    interleaved(
        {"a": Recorder("a", [])},
        IMAGES,
        runs=5,
        warmup=4,
        seed=0,
        advance=lambda steps_done=1, detail="": steps.append(steps_done),
    )
    assert sum(steps) == 9


@pytest.mark.parametrize(("images", "runs"), [(IMAGES[:0], 5), (IMAGES, 0), (IMAGES[0], 5)])
def test_nothing_to_time_is_refused(images: NDArray[np.uint8], runs: int) -> None:
    with pytest.raises(ValueError, match="expected images"):
        interleaved({"a": Recorder("a", [])}, images, runs=runs, warmup=0, seed=0)
