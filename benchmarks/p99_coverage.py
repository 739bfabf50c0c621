"""How often the 95 % interval of p99 is given, and contains the true value, on a synthetic machine that drifts.

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

from edgetl import stats
from edgetl.bench.latency import BLOCK

OWN = 0.01
STALLS = 0.02
_TRUTH_DRAWS = 1_000_000


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
RUNS = (300, 3000, stats.P99_ROUNDS * BLOCK, 2 * stats.P99_ROUNDS * BLOCK)


@dataclass(frozen=True)
class Coverage:
    """given  share of the series whose p99 has an interval; held  share of these that hold the truth, None of none;
    as_quantile  share of all series whose interval of `stats.quantile` does, given or not"""

    drift: Drift
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


def truth(drift: Drift) -> float:
    """The 0.99-quantile of all runs."""
    if not drift.stalls:
        return math.exp(NormalDist(0, math.hypot(drift.spread, OWN)).inv_cdf(0.99))
    generator = np.random.default_rng(1)
    rounds = np.exp(generator.normal(0, drift.spread, _TRUTH_DRAWS))
    return float(np.quantile(rounds * _own(drift, _TRUTH_DRAWS, generator), 0.99))


def measure(drift: Drift, runs: int, series: int, seed: int = 0) -> Coverage:
    generator = np.random.default_rng(seed)
    true = truth(drift)
    given = held = plain = 0
    for _ in range(series):
        times = simulate(drift, runs, generator)
        found, quantile = stats.p99(times, block=BLOCK), stats.quantile(times, 0.99, block=BLOCK)
        plain += quantile is not None and quantile.low <= true <= quantile.high
        if found.low is not None and found.high is not None:
            given += 1
            held += found.low <= true <= found.high
    return Coverage(drift, runs, series, given / series, held / given if given else None, plain / series)


def _own(drift: Drift, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
    own = np.exp(generator.normal(0, OWN, count))
    if drift.stalls:
        own *= np.where(generator.random(count) < STALLS, generator.uniform(1.5, 3, count), 1)
    return own


def _text(found: list[Coverage]) -> str:
    rows = []
    for drift in DRIFTS:
        mine = {each.runs: each for each in found if each.drift == drift}
        cells = [f"{100 * each.given:.0f}, {_percent(each.held)}" for each in mine.values()]
        rows.append([drift.name, f"{100 * mine[RUNS[0]].as_quantile:.0f}", *cells])
    header = ["rounds", "300 runs, always given", *[f"{runs} runs" for runs in RUNS]]
    return table(header, rows)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--series", type=int, default=1000, help="simulated measurements of each kind")
    add_write_option(parser)
    arguments = parser.parse_args()
    machine = machine_now()
    found = [measure(drift, runs, arguments.series) for drift in DRIFTS for runs in RUNS]
    said = (
        "Percent of the series that are given an interval of p99, and percent of these that hold the truth. "
        "The first column has the interval that 300 runs were given before, always. All is simulated: machine and "
        f"load do not matter. {arguments.series} series of each kind."
    )
    data = {"series": arguments.series, "coverage": [asdict(each) for each in found]}
    sections = (said, _text(found))
    deliver(Result("p99-coverage", "Coverage of the interval of p99", sections, data), machine, arguments.write)


if __name__ == "__main__":
    main()
