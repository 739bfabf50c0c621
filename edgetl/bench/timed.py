"""Timing builds together, with the machine's load; and how many runs that takes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl import stats
from edgetl.bench.latency import BLOCK, interleaved
from edgetl.bench.quiet import Conditions, conditions, round_spread, snapshot
from edgetl.bench.result import Latency
from edgetl.types import Advance, Engine

P99_RUNS = stats.P99_ROUNDS * BLOCK
"""Timed runs of each build from which p99 has an interval."""
MOST_SECONDS = 60.0
"""Seconds that the extra runs for p99 may take, for all builds of a target together."""
_MORE = 300  # runs between two checks of the clock


@dataclass(frozen=True)
class Timing:
    """How builds are timed.

    threads  inside one inference
    for_p99  up to `P99_RUNS` runs, as far as `MOST_SECONDS` reach: a gate on p99 is judged by them
    """

    runs: int
    warmup: int
    threads: int
    seed: int = 0
    for_p99: bool = False

    @property
    def most_runs(self) -> int:
        return max(self.runs, P99_RUNS) if self.for_p99 else self.runs


@dataclass(frozen=True)
class Timed:
    """times  per engine (runs,) int64 nanoseconds, in rounds of `BLOCK`; tokens  length of the texts, if it is open"""

    times: dict[str, NDArray[np.int64]]
    conditions: Conditions
    tokens: int | None = None


def timed(
    engines: Mapping[str, Engine],
    images: NDArray[np.generic] | Sequence[NDArray[np.generic]],
    timing: Timing,
    advance: Advance | None = None,
) -> Timed:
    """Time all engines in the same rounds (`interleaved`)."""
    before, seed = snapshot(), timing.seed
    parts = [interleaved(engines, images, runs=timing.runs, warmup=timing.warmup, seed=seed, advance=advance)]
    taken, end = timing.runs, time.monotonic() + MOST_SECONDS
    while timing.for_p99 and taken < P99_RUNS and time.monotonic() < end and taken % BLOCK == 0:
        more = min(_MORE, P99_RUNS - taken)
        parts.append(interleaved(engines, images, runs=more, warmup=1, seed=seed + len(parts), advance=advance))
        taken += more
    together = {name: np.concatenate([part[name] for part in parts]) for name in engines}
    return Timed(together, conditions(before, snapshot(), timing.threads))


def latency(times: NDArray[np.int64], threads: int) -> Latency:
    """Quantiles of the times of one build, (runs,) nanoseconds."""
    milliseconds = times / 1e6
    p50, p90 = (stats.quantile(milliseconds, q, block=BLOCK) for q in (0.5, 0.9))
    return Latency(
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=stats.p99(milliseconds, block=BLOCK),
        runs=times.size,
        threads=threads,
        round_spread=round_spread(times),
    )
