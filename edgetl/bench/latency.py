"""The latency protocol: one image at a time, builds interleaved run by run, so that drift hits all of them equally."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from edgetl.types import INPUT_NAME, Advance, Engine


def interleaved(
    engines: Mapping[str, Engine],
    images: NDArray[np.uint8],
    *,
    runs: int,
    warmup: int,
    seed: int,
    advance: Advance | None = None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, NDArray[np.int64]]:
    """Time every engine `runs` times on single images.

    images   (K, H, W, 3) uint8, real ones; round r shows image r mod K to every engine.
    runs     timed rounds; warmup  untimed rounds before. In each round the engines take turns in an order drawn by
             `seed`. Garbage collection is off while timing.
    returns  per engine (runs,) int64 nanoseconds; index r of all engines belongs to one round.
    Raises ValueError for no image, or runs < 1.
    """
    if images.ndim != 4 or images.shape[0] < 1 or runs < 1:
        raise ValueError(f"expected images (K, H, W, 3) with K >= 1 and runs >= 1; found {images.shape} and {runs}")
    names = list(engines)
    batches = [np.ascontiguousarray(images[index : index + 1]) for index in range(images.shape[0])]
    times = {name: np.zeros(runs, dtype=np.int64) for name in names}
    generator = np.random.default_rng(seed)
    with _no_garbage_collection():
        for round_number in range(-warmup, runs):
            inputs = {INPUT_NAME: batches[round_number % len(batches)]}
            for position in generator.permutation(len(names)):
                engine = engines[names[position]]
                start = clock()
                engine.infer(inputs)
                elapsed = clock() - start
                if round_number >= 0:
                    times[names[position]][round_number] = elapsed
            if advance is not None:
                advance()
    return times


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
