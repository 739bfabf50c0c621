"""How often 95 % intervals of quantiles are given, and contain the true value, on a synthetic machine that drifts.

Run r of round k takes exp(round_k + own_r) milliseconds: `own` is normal noise of 1 %, `round` is normal with the
spread that is named and a correlation with the round before (first-order autoregressive). With stalls every run takes
1.5 to 3 times as long with a probability of 2 %. The truth is the quantile of that distribution. Seeds are fixed: the
numbers are the same on every machine.

    python benchmarks/p99_coverage.py --write
"""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from result_file import Result, add_write_option, deliver, machine_now, table

from edgetl.bench import time_stats
from edgetl.bench.latency import BLOCK

OWN = 0.01
STALLS = 0.02
_TRUTH_DRAWS = 1_000_000
_MIDDLE = 0.95  # above, a quantile may be given without an interval


@dataclass(frozen=True)
class Drift:
    """How a machine's rounds differ. spread  standard deviation of their logarithm; memory  correlation with the round
    before; stalls  whether single runs stall."""

    spread: float
    memory: float = 0.0
    stalls: bool = False

    @property
    def name(self) -> str:
        if self.spread == 0:
            summary = "do not differ"
        else:
            summary = f"differ by {self.spread:.0%}" + (f", correlated by {self.memory:g}" if self.memory else "")
        return f"{summary}; 2 % of the runs stall" if self.stalls else summary


DRIFTS = (
    *(Drift(0.0), Drift(0.01), Drift(0.03), Drift(0.1)),
    *(Drift(0.03, 0.3), Drift(0.03, 0.5), Drift(0.03, 0.7), Drift(0.03, 0.9)),
    *(Drift(0.0, stalls=True), Drift(0.03, stalls=True)),
)
MEDIAN_RUNS = (300, 3000)
P99_RUNS = (300, 3000, time_stats.P99_RUNS, 2 * time_stats.P99_RUNS, 5 * time_stats.P99_RUNS)
P999_RUNS = (6000, 10 * time_stats.P99_RUNS)


@dataclass(frozen=True)
class Coverage:
    """given  share of the series whose quantile has an interval; held  share of these that hold the truth, None of
    none; as_quantile  share of all series whose interval of `time_stats.quantile` does, given or not"""

    drift: Drift
    q: float
    runs: int
    series: int
    given: float
    held: float | None
    as_quantile: float


def simulate(drift: Drift, runs: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """(runs,) milliseconds of one build."""
    rounds = runs // BLOCK
    steps = generator.normal(0, drift.spread * math.sqrt(1 - drift.memory**2), rounds)
    state = np.empty(rounds)
    state[0] = generator.normal(0, drift.spread)
    for index in range(1, rounds):
        state[index] = drift.memory * state[index - 1] + steps[index]
    return np.exp(np.repeat(state, BLOCK)) * _own(drift, rounds * BLOCK, generator)


def truth(drift: Drift, q: float = 0.99) -> float:
    """The q-quantile of all runs."""
    if not drift.stalls:
        return math.exp(NormalDist(0, math.hypot(drift.spread, OWN)).inv_cdf(q))
    generator = np.random.default_rng(1)
    rounds = np.exp(generator.normal(0, drift.spread, _TRUTH_DRAWS))
    return float(np.quantile(rounds * _own(drift, _TRUTH_DRAWS, generator), q))


def measure(drift: Drift, runs: int, series: int, seed: int = 0, q: float = 0.99) -> Coverage:
    generator = np.random.default_rng(seed)
    true = truth(drift, q)
    given = held = plain = 0
    for _ in range(series):
        times = simulate(drift, runs, generator)
        quantile = time_stats.quantile(times, q, block=BLOCK)
        plain += quantile is not None and quantile.low <= true <= quantile.high
        found = time_stats.tail(times, q, block=BLOCK) if q > _MIDDLE else quantile
        if found is not None and found.low is not None and found.high is not None:
            given += 1
            held += found.low <= true <= found.high
    return Coverage(drift, q, runs, series, given / series, held / given if given else None, plain / series)


def _own(drift: Drift, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
    own = np.exp(generator.normal(0, OWN, count))
    if drift.stalls:
        own *= np.where(generator.random(count) < STALLS, generator.uniform(1.5, 3, count), 1)
    return own


def _text(found: list[Coverage]) -> str:
    """A row per drift, a column per quantile and number of runs."""
    columns = list(dict.fromkeys((each.q, each.runs) for each in found))
    header = ["rounds", *[f"p{100 * q:g}, {runs} runs" for q, runs in columns]]
    rows = [[drift.name, *[_cell(each) for each in found if each.drift == drift]] for drift in DRIFTS]
    return table(header, rows)


def _cell(found: Coverage) -> str:
    held = "–" if found.held is None else f"{100 * found.held:.1f}"
    return held if found.given == 1 else f"{held} of {100 * found.given:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--series", type=int, default=1000, help="simulated measurements of each kind")
    parser.add_argument("--fast", action="store_true", help="only the smallest number of runs of each quantile")
    add_write_option(parser)
    arguments = parser.parse_args()
    machine = machine_now()
    many = ((0.5, MEDIAN_RUNS), (0.9, MEDIAN_RUNS), (0.99, P99_RUNS), (0.999, P999_RUNS))
    found = [
        measure(drift, runs, arguments.series, q=q)
        for q, numbers in many
        for runs in (numbers[:1] if arguments.fast else numbers)
        for drift in DRIFTS
    ]
    said = (
        "Percent of the intervals that hold the truth; after `of` the percent of the series that are given one, if not "
        f"all. All is simulated: machine and load do not matter. {arguments.series} series of each kind."
    )
    data = {"series": arguments.series, "coverage": [asdict(each) for each in found]}
    sections = (said, _text(found))
    deliver(Result("p99-coverage", "Coverage of the intervals of quantiles", sections, data), machine, arguments.write)


if __name__ == "__main__":
    main()
