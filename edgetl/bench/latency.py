"""The latency protocol: one example at a time, builds alternate in short blocks, so that drift affects them equally."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgetl.types import Advance, Engine, fed

BLOCK = 10
"""Timed runs of one engine in a row."""
SETTLE = 2
"""Untimed runs before each block."""
Shown = TypeVar("Shown")


def interleaved(
    engines: Mapping[str, Engine],
    images: NDArray[np.generic] | Sequence[NDArray[np.generic]],
    *,
    runs: int,
    warmup: int,
    seed: int,
    advance: Advance | None = None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, NDArray[np.int64]]:
    """Time every engine `runs` times on single examples.

    images   K examples as the network takes them, real ones; run r shows number r mod K to every engine.
    runs     timed runs; warmup  untimed runs of each engine before. The engines take turns in blocks of `BLOCK` timed
             runs, in an order drawn by `seed`, each block after `SETTLE` untimed runs. Garbage collection is off.
    returns  per engine (runs,) int64 nanoseconds; run r of every engine belongs to round r // BLOCK, which holds one
             block of each. Runs of a round share the state of the machine, so rounds are the sample of all intervals.
    Raises ValueError for none, or runs < 1.

    Blocks are needed because a model finds its weights evicted from the cache right after another model: alternating
    run by run, MobileNetV2 in INT8 took 0.3 to 0.5 ms longer than alone (docs/decisions/0006-latency-protocol.md).
    """
    if len(images) < 1 or images[0].ndim < 1 or runs < 1:
        raise ValueError(f"expected examples (K, ...) with K >= 1 and runs >= 1; found {np.shape(images)} and {runs}")
    batches = one_by_one(images)
    calls = {name: engine.infer for name, engine in engines.items()}
    return alternating(calls, batches, runs=runs, warmup=warmup, seed=seed, advance=advance, clock=clock)


def one_by_one(images: NDArray[np.generic] | Sequence[NDArray[np.generic]]) -> list[Mapping[str, NDArray[np.generic]]]:
    """Examples as batches of one."""
    return [fed(np.ascontiguousarray(image[None])) for image in images]


def alternating(
    calls: Mapping[str, Callable[[Shown], object]],
    shown: Sequence[Shown],
    *,
    runs: int,
    warmup: int,
    seed: int,
    advance: Advance | None = None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, NDArray[np.int64]]:
    """The same of any calls, each of which takes one of `shown`: run r takes number r mod their count."""
    names = list(calls)
    times = {name: np.zeros(runs, dtype=np.int64) for name in names}
    generator = np.random.default_rng(seed)
    with no_garbage_collection():
        for call in calls.values():
            for run in range(warmup):
                call(shown[run % len(shown)])
        for first in range(0, runs, BLOCK):
            block = range(first, min(first + BLOCK, runs))
            for position in generator.permutation(len(names)):
                name = names[position]
                _time_block(calls[name], shown, block, times[name], clock)
            if advance is not None:
                advance(len(block))
    return times


def _time_block(
    call: Callable[[Shown], object],
    shown: Sequence[Shown],
    block: range,
    times: NDArray[np.int64],
    clock: Callable[[], int],
) -> None:
    for run in range(block.start - SETTLE, block.start):
        call(shown[run % len(shown)])
    for run in block:
        inputs = shown[run % len(shown)]
        start = clock()
        call(inputs)
        times[run] = clock() - start


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
