"""How many examples a second one machine can take: streams, threads and batch searched for the best under a p99 limit.

A stream is an engine of its own that runs one batch after another (a closed loop); all streams run at the same time.
The latency of an example is that of its batch.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgetl.bench.bundles import timed_examples
from edgetl.bench.machine import Machine, describe
from edgetl.bundle.inference import open_bundle
from edgetl.bundle.read import Bundle, read_bundle
from edgetl.types import Engine, Progress, fed

BATCHES = (1, 2, 4, 8, 16, 32)
_WARMUP = 5  # batches of each stream
Batch = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Setting:
    """threads  inside one inference of a stream; batch  examples of one inference"""

    streams: int
    threads: int
    batch: int


@dataclass(frozen=True)
class Point:
    """One setting. per_second  examples; p50_ms, p99_ms  of the batches of all streams, of so many batches"""

    setting: Setting
    per_second: float
    p50_ms: float
    p99_ms: float
    batches: int


@dataclass(frozen=True)
class Throughput:
    """best  the setting with the most examples a second among those within the limit; None if none is"""

    bundle: str
    machine: Machine
    limit_ms: float | None
    points: tuple[Point, ...]
    best: Point | None
    schema: Literal[1] = 1


def search(folder: Path, limit_ms: float | None, seconds: float, progress: Progress) -> Throughput:
    """Measure the settings that this machine's cores allow, each for `seconds`.

    limit_ms  of p99; None: the most examples a second, whatever the latency
    Raises BundleError; BackendError if the bundle cannot run here.
    """
    bundle, machine = read_bundle(folder), describe()
    examples = timed_examples(bundle, None, progress)
    cores = max(1, math.ceil(machine.usable_cores or 1))

    def measure(setting: Setting) -> Point:
        with progress.task(f"{setting.streams} × {setting.threads}, batch {setting.batch}", total=None):
            return measure_setting(bundle, examples, setting, seconds)

    points = tuple(explored(cores, limit_ms, measure))
    return Throughput(str(folder), machine, limit_ms, points, best(points, limit_ms))


def explored(cores: int, limit_ms: float | None, measure: Callable[[Setting], Point]) -> Iterator[Point]:
    """Every split of the cores into streams and threads, with growing batches until the limit is missed or the machine
    takes less than nine tenths of what it took with half the batch."""
    for streams in powers(cores):
        for threads in powers(cores // streams):
            before = 0.0
            for batch in BATCHES:
                point = measure(Setting(streams, threads, batch))
                yield point
                if (limit_ms is not None and point.p99_ms > limit_ms) or point.per_second < 0.9 * before:
                    break
                before = point.per_second


def best(points: Sequence[Point], limit_ms: float | None) -> Point | None:
    """The most examples a second within the limit; of equal ones the shorter p99."""
    within = [point for point in points if limit_ms is None or point.p99_ms <= limit_ms]
    return max(within, key=lambda point: (point.per_second, -point.p99_ms), default=None)


def powers(most: int) -> list[int]:
    """1, 2, 4, ... and `most` itself."""
    found = [2**power for power in range(most.bit_length()) if 2**power <= most]
    return found if not found or found[-1] == most else [*found, most]


def measure_setting(bundle: Bundle, examples: Sequence[NDArray[Any]], setting: Setting, seconds: float) -> Point:
    """Open the engines and run them side by side. Raises BackendError."""
    batch: Batch = dict(fed(np.stack([examples[index % len(examples)] for index in range(setting.batch)])))
    with ExitStack() as stack:
        engines = [stack.enter_context(open_bundle(bundle, threads=setting.threads)) for _ in range(setting.streams)]
        times, lasted = side_by_side([_call(engine, batch) for engine in engines], seconds)
    ms = np.concatenate(times) / 1e6
    p50, p99 = (float(np.quantile(ms, q, method="inverted_cdf")) for q in (0.5, 0.99))
    return Point(setting, ms.size * setting.batch / lasted, p50, p99, ms.size)


def _call(engine: Engine, batch: Batch) -> Callable[[], object]:
    return lambda: engine.infer(batch)


def side_by_side(calls: Sequence[Callable[[], object]], seconds: float) -> tuple[list[NDArray[np.int64]], float]:
    """Run each call again and again in a thread of its own, all from the same moment, for so long.

    returns  nanoseconds of each call's runs (at least one), and the seconds until the last one ended
    Raises what a call raises, whatever that is, once all threads have ended.
    """
    times: list[list[int]] = [[] for _ in calls]
    together = threading.Barrier(len(calls))
    begins: list[int] = []

    def stream(call: Callable[[], object], mine: list[int]) -> None:
        try:
            for _ in range(_WARMUP):
                call()
            together.wait()
            begin = time.perf_counter_ns()
            begins.append(begin)
            while not together.broken and (not mine or time.perf_counter_ns() - begin < seconds * 1e9):
                start = time.perf_counter_ns()
                call()
                mine.append(time.perf_counter_ns() - start)
        except threading.BrokenBarrierError:  # another stream failed
            return
        except BaseException:
            together.abort()  # nobody waits for this stream
            raise

    with ThreadPoolExecutor(len(calls)) as pool:
        streams = [pool.submit(stream, *pair) for pair in zip(calls, times, strict=True)]
        try:
            wait(streams)
        except BaseException:  # Ctrl-C
            together.abort()
            raise
    for each in streams:
        each.result()
    return [np.array(mine, np.int64) for mine in times], (time.perf_counter_ns() - min(begins)) / 1e9
