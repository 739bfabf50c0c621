from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from itertools import count, groupby
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.bench.latency import BLOCK, SETTLE, interleaved
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


def turns(calls: list[tuple[str, int]]) -> list[tuple[str, list[int]]]:
    """Consecutive calls of one engine, as (engine, images)."""
    return [(name, [image for _, image in group]) for name, group in groupby(calls, key=lambda call: call[0])]


def test_engines_take_turns_in_blocks_that_settle_first_and_see_the_same_images() -> None:
    calls: list[tuple[str, int]] = []
    interleaved({name: Recorder(name, calls) for name in ("a", "b")}, IMAGES, runs=BLOCK + 3, warmup=0, seed=3)
    per_engine = {name: [image for who, image in calls if who == name] for name in ("a", "b")}
    first = [run % 3 for run in range(-SETTLE, BLOCK)]
    second = [run % 3 for run in range(BLOCK - SETTLE, BLOCK + 3)]
    assert per_engine == {"a": first + second, "b": first + second}
    assert sum(len(images) for _, images in turns(calls)) == len(calls)
    assert all(len(images) >= SETTLE + 3 for _, images in turns(calls))


def test_the_order_of_a_round_changes_and_repeats_with_its_seed() -> None:
    def order(seed: int) -> str:
        calls: list[tuple[str, int]] = []
        interleaved({name: Recorder(name, calls) for name in ("a", "b")}, IMAGES, runs=40 * BLOCK, warmup=0, seed=seed)
        return "".join(name for name, _ in calls[:: SETTLE + BLOCK])[::2]

    assert 10 < order(1).count("a") < 30
    assert order(1) == order(1)
    assert order(1) != order(2)


def test_warm_up_is_run_and_not_counted() -> None:
    calls: list[tuple[str, int]] = []
    times = interleaved({"a": Recorder("a", calls)}, IMAGES, runs=5, warmup=4, seed=0)
    assert len(calls) == 4 + SETTLE + 5
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


def test_progress_counts_timed_runs() -> None:
    steps: list[int] = []
    interleaved(
        {"a": Recorder("a", [])},
        IMAGES,
        runs=5,
        warmup=4,
        seed=0,
        advance=lambda steps_done=1, detail="": steps.append(steps_done),
    )
    assert sum(steps) == 5


@pytest.mark.parametrize(("images", "runs"), [(IMAGES[:0], 5), (IMAGES, 0), (IMAGES[0, 0, 0], 5)])
def test_nothing_to_time_is_refused(images: NDArray[np.uint8], runs: int) -> None:
    with pytest.raises(ValueError, match="expected examples"):
        interleaved({"a": Recorder("a", [])}, images, runs=runs, warmup=0, seed=0)
