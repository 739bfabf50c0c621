"""Paced arrivals, as a camera makes them: each example arrives at its time, whether the engine is free or not.

Latency counts from that time (an open loop), so waiting behind earlier examples shows; service time counts from the
engine's start. Between arrivals the thread sleeps, as it does on a device, and clocks and caches may cool down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from edgetl.bench import time_stats
from edgetl.bench.latency import BLOCK, no_garbage_collection
from edgetl.types import Estimate, Interval

Arrivals = Literal["fixed", "poisson"]
ARRIVALS: tuple[str, ...] = get_args(Arrivals)
Shown = TypeVar("Shown")


@dataclass(frozen=True)
class Pace:
    """rate_hz  arrivals per second on average; fixed: equal gaps, poisson: independent ones"""

    rate_hz: float
    arrivals: Arrivals = "fixed"


@dataclass(frozen=True)
class Paced:
    """One bundle under paced arrivals. p99.9 is None with too few runs for it (`runs_for_p999`).

    service_p50_ms, service_p99_ms  the inference alone
    utilization                     share of the time that inference takes: service time times rate. From 1 on the queue
                                    grows without end
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    rate_hz: float
    arrivals: Arrivals
    runs: int
    p50_ms: Interval | None
    p90_ms: Interval | None
    p99_ms: Estimate
    p999_ms: Estimate | None
    service_p50_ms: Interval | None
    service_p99_ms: Estimate
    utilization: float


@dataclass(frozen=True)
class PacedTimes:
    """(runs,) int64 nanoseconds: from arrival to result, and of the inference alone."""

    latency: NDArray[np.int64]
    service: NDArray[np.int64]


def schedule(pace: Pace, runs: int, seed: int) -> NDArray[np.int64]:
    """(runs,) nanoseconds after the start at which examples arrive; the first one arrives at 0."""
    mean = 1e9 / pace.rate_hz
    if pace.arrivals == "fixed":
        return np.round(np.arange(runs) * mean).astype(np.int64)
    gaps = np.random.default_rng(seed).exponential(mean, runs - 1)
    return np.concatenate([[0], np.round(np.cumsum(gaps))]).astype(np.int64)


def paced(
    call: Callable[[Shown], object],
    shown: Sequence[Shown],
    arrivals: NDArray[np.int64],
    *,
    clock: Callable[[], int] = time.perf_counter_ns,
    sleep: Callable[[float], object] = time.sleep,
) -> PacedTimes:
    """Run once per arrival, in order, never before it. Example r is number r mod their count."""
    latency, service = np.zeros(arrivals.size, np.int64), np.zeros(arrivals.size, np.int64)
    with no_garbage_collection():
        start = clock()
        for run, offset in enumerate(arrivals.tolist()):
            due = start + offset
            while (early := due - clock()) > 0:
                sleep(early / 1e9)
            begin = clock()
            call(shown[run % len(shown)])
            end = clock()
            latency[run], service[run] = end - due, end - begin
    return PacedTimes(latency, service)


def figures(times: PacedTimes, pace: Pace) -> Paced:
    """Quantiles with intervals; the sample is stretches of runs, which share the queue."""
    latency, service = times.latency / 1e6, times.service / 1e6
    p999 = time_stats.tail(latency, 0.999, block=BLOCK)
    return Paced(
        rate_hz=pace.rate_hz,
        arrivals=pace.arrivals,
        runs=latency.size,
        p50_ms=time_stats.quantile(latency, 0.5, block=BLOCK),
        p90_ms=time_stats.quantile(latency, 0.9, block=BLOCK),
        p99_ms=time_stats.p99(latency, block=BLOCK),
        p999_ms=None if p999.low is None else p999,
        service_p50_ms=time_stats.quantile(service, 0.5, block=BLOCK),
        service_p99_ms=time_stats.p99(service, block=BLOCK),
        utilization=float(service.mean()) / 1e3 * pace.rate_hz,
    )


def overload(paced: Paced) -> str:
    """A warning if arrivals outrun the engine; "" if they do not."""
    if paced.utilization < 1:
        return ""
    return (
        f"{paced.rate_hz:g} arrivals a second need {paced.utilization:.2f} times the time there is: the queue grows, "
        "and latencies depend on how long it was measured"
    )
