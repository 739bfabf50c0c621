"""Intervals for times that were taken in rounds: quantiles and ratios. Pure functions; every random draw has a seed.

All intervals have (at least nominally) 95 % coverage, also if rounds differ and resemble the one before
(docs/decisions/0037-laboratory.md). `runtime/apps/stats.cpp` is the same in C++.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edgetl.types import Estimate, Interval
from edgetl.types.stats import CHUNK_CELLS, CONFIDENCE, RESAMPLES, difference_of_two, student, z95

FEWEST_SLOWER = 60
"""Runs slower than a high quantile from which its interval is valid (docs/decisions/0006-latency-protocol.md)."""
P99_RUNS = 6000
"""Timed runs from which p99 has an interval, on a machine that does not drift slowly."""
_FEWEST_INDEPENDENT = 1.5  # rounds above a high quantile, a round counting less the more it resembles the one before
_MOST_MEMORY = 0.99  # of rounds: bounds how many runs are said to be needed
_MOST_REPEATED = 0.9  # bounds the correlation of stretches, whose estimate is noisy
_SLACK = 1e-9  # of ranks and lengths that are whole numbers but for rounding


def quantile(samples: NDArray[np.int64] | NDArray[np.float64], q: float, *, block: int | None) -> Interval | None:
    """The q-quantile of the distribution the samples come from, with an interval that assumes no shape of it.

    samples  (N,) numbers in the order in which they were taken.
    block    samples in a row that make a round and share what the machine did then (with fewer than two whole rounds
             each sample counts as one); None: all are independent.
    value    the order statistic of rank ceil(q N).
    low, high  order statistics whose ranks a binomial(N, q) count of smaller samples leaves on either side with a
    probability of at most 5 % together: 2.5 % each, or, where the outermost sample cannot reach 2.5 %, all that it
    needs and the rest for the other side. None when N is too small for any: p99 needs at least 299 samples.
    Where the share of samples up to `value` differs between stretches of rounds more than binomial counts do, or
    stretches resemble the one before, both ranks move away from q N in proportion, as far as there are samples: of 300
    runs in rounds that differ, no sample bounds p99 with 95 %, and its upper end is the slowest run.
    Source: David and Nagaraja 2003, "Order Statistics", section 7.1; for rounds Woodruff 1952, "Confidence intervals
    for medians and other position measures", JASA 47:635-646, the stretches being the clusters, with Student's factor
    as in Korn and Graubard 1998, Survey Methodology 24:193-201.
    """
    if not 0 < q < 1 or samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"expected 0 < q < 1 and a vector of samples; found q={q} and shape {samples.shape}")
    ranks = _quantile_ranks(samples.size, q)
    if ranks is None:
        return None
    ordered = np.sort(samples)
    value = float(ordered[_rank(samples.size, q) - 1])
    low, high = _wider_ranks(
        ranks, samples.size, q, 1.0 if block is None else _design_factor(samples <= value, q, block)
    )
    low, high = max(1, low), min(samples.size, high)
    return Interval(value, min(float(ordered[low - 1]), value), max(float(ordered[high - 1]), value))


def tail(samples: NDArray[np.int64] | NDArray[np.float64], q: float, *, block: int) -> Estimate:
    """A high quantile, with the interval of `quantile` if that contains the true value in 93 to 97 of 100 cases.

    Without ends it is an indication: fewer than `FEWEST_SLOWER` runs are slower; no run is slow enough to be the upper
    end; or there are too few independent rounds, which are the sample. `runs_for_tail` says how many runs it needs.
    Raises ValueError without samples.
    """
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"expected a vector of samples; found shape {samples.shape}")
    value = float(np.partition(samples, _rank(samples.size, q) - 1)[_rank(samples.size, q) - 1])
    if samples.size < runs_for_tail(samples, q, block=block):
        return Estimate(value)
    found = quantile(samples, q, block=block)
    return Estimate(value) if found is None else Estimate(value, found.low, found.high)


def p99(samples: NDArray[np.int64] | NDArray[np.float64], *, block: int) -> Estimate:
    """The 0.99-quantile, as `tail` gives it."""
    return tail(samples, 0.99, block=block)


def runs_for_tail(samples: NDArray[np.int64] | NDArray[np.float64], q: float, *, block: int) -> int:
    """How many runs the q-quantile needs for an interval, on a machine that drifts as it did during `samples`.

    At most the size of `samples` if they are enough. Of few samples it is a rough number: their drift is hardly known.
    Independent rounds are R (1 - r) / (1 + r), r being the correlation of successive rounds' medians: the effective
    sample size of a first-order autoregressive series (Bayley and Hammersley 1946, Supplement to the JRSS 8:184-197).
    """
    least = math.ceil(FEWEST_SLOWER / (1 - q) - _SLACK)
    rounds = samples.size // block
    if rounds < 2:
        return least
    memory = min(max(_correlation(_round_medians(samples, block)), 0.0), _MOST_MEMORY)
    independent = math.ceil(_FEWEST_INDEPENDENT / (1 - q) * (1 + memory) / (1 - memory) - _SLACK) * block
    value = np.partition(samples, _rank(samples.size, q) - 1)[_rank(samples.size, q) - 1]
    return max(least, independent, _runs_above(samples.size, q, _design_factor(samples <= value, q, block)))


def independent_rounds(samples: NDArray[np.int64], *, block: int) -> float:
    """How many independent rounds tell as much of the median as these, which resemble the one before."""
    rounds = samples.size // block
    if rounds < 2:
        return rounds
    alike = _correlation(_round_medians(samples, block))
    alike = min(max(alike + (1 + 3 * alike) / rounds, 0.0), _MOST_MEMORY)  # its bias: see `_design_factor`
    return rounds * (1 - alike) / (1 + alike)


def speedup(baseline: NDArray[np.int64], samples: NDArray[np.int64], *, block: int, seed: int = 0) -> Interval:
    """How many times faster `samples` are than `baseline`: ratio of medians, timed in the same rounds.

    baseline, samples  (N,) positive times; equal indices of both were taken in one round.
    block              runs of each in a round; a last round that is shorter is not resampled. With fewer than two whole
                       rounds every run counts as one; a single run has no interval but itself.
    The interval is a percentile bootstrap of rounds, both series together. Rounds are drawn in stretches of R^(1/3)
    neighbors, which share the machine's state; percentiles lie further out than 2.5 % because there are few stretches.
    Source: Kuensch 1989, "The jackknife and the bootstrap for general stationary observations", Annals of Statistics
    17:1217-1241; the percentiles: Hesterberg 2015, "What teachers should know about the bootstrap", The American
    Statistician 69:371-386 (expanded percentile interval).
    """
    if baseline.shape != samples.shape or baseline.ndim != 1 or baseline.size == 0:
        raise ValueError(f"expected two series of one length >= 1; found shapes {baseline.shape} and {samples.shape}")
    if baseline.min() <= 0 or samples.min() <= 0:
        raise ValueError("expected positive times")
    value = _median(baseline) / _median(samples)
    block = _round_size(baseline.size, block)
    rounds = baseline.size // block
    if rounds < 2:
        return Interval(value, value, value)
    drawn = _resampled_rounds(rounds, seed)
    ratios = _resampled_medians(baseline, drawn, block) / _resampled_medians(samples, drawn, block)
    tail = _expanded_tail(rounds // _stretch(rounds))
    low, high = np.quantile(ratios, (tail, 1 - tail))
    return Interval(value, min(float(low), value), max(float(high), value))


def ratio_of_two(before: Interval, after: Interval) -> Interval:
    """after / before of two independent positive values with intervals, by their logarithms.

    Source: Zou and Donner 2008, "Construction of confidence limits about effect measures", Statistics in Medicine
    27:1693-1702.
    """
    first, second = (Interval(*map(math.log, (each.value, each.low, each.high))) for each in (before, after))
    change = difference_of_two(second, first)
    return Interval(math.exp(change.value), math.exp(change.low), math.exp(change.high))


def over_repeats(ratios: Sequence[float]) -> Interval:
    """Geometric mean of at least two ratios, with Student's interval of the mean of their logarithms.

    Each is of one repeat of a whole measurement, in which both were opened anew and timed in the same rounds.
    Source: Kalibera and Jones 2013, "Rigorous benchmarking in reasonable time", ISMM: the highest level that varies is
    the sample.
    """
    logs = [math.log(each) for each in ratios]
    half = student(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    middle = statistics.fmean(logs)
    return Interval(math.exp(middle), math.exp(middle - half), math.exp(middle + half))


def _design_factor(below: NDArray[np.bool_], q: float, block: int) -> float:
    """How many times further than for independent samples the ends of a quantile's interval lie, at least 1.

    below  (N,) bool: is the sample at most the quantile
    The standard error is that of the stretches' shares. Stretches that resemble the one before count less, by the
    factor of a first-order autoregressive mean; their correlation is estimated too low by (1 + 3 r) / n (Marriott and
    Pope 1954, "Bias in the estimation of autocorrelations", Biometrika 41:390-402).
    """
    block = _round_size(below.size, block)
    stretch = _stretch(below.size // block)
    count = below.size // block // stretch
    if count < 2:
        return 1.0
    shares = below[: count * stretch * block].reshape(count, -1).mean(axis=1)
    error = math.sqrt(float(np.square(shares - below.mean()).sum()) / (count - 1) / count)
    alike = _correlation(shares)
    alike = min(max(alike + (1 + 3 * alike) / count, 0.0), _MOST_REPEATED)
    error *= math.sqrt((1 + alike) / (1 - alike))
    return max(1.0, error / math.sqrt(q * (1 - q) / below.size) * student(count - 1) / z95())


def _runs_above(count: int, q: float, wider: float) -> int:
    """The number of runs of which the upper end of the q-quantile's interval is one; `count` if it is one of these."""
    ranks = _quantile_ranks(count, q)
    if ranks is not None and _wider_ranks(ranks, count, q, wider)[1] <= count:
        return count
    return max(count + 1, math.ceil((wider * z95()) ** 2 * q / (1 - q)))


def _round_medians(samples: NDArray[np.int64] | NDArray[np.float64], block: int) -> NDArray[np.float64]:
    return np.asarray(np.median(samples[: samples.size // block * block].reshape(-1, block), axis=1), np.float64)


def _correlation(series: NDArray[np.float64]) -> float:
    """Of successive numbers; 0 where all are equal."""
    off = series - series.mean()
    power = float(np.square(off).sum())
    return float((off[1:] * off[:-1]).sum()) / power if power > 0 else 0.0


def _rank(count: int, q: float) -> int:
    """Of the order statistic that is the q-quantile of `count` samples, from 1."""
    return max(1, math.ceil(q * count - _SLACK))


def _wider_ranks(ranks: tuple[int, int], count: int, q: float, wider: float) -> tuple[int, int]:
    """Ranks `wider` times as far from q N; they may lie outside of 1 to `count`."""
    middle = q * count
    low = math.floor(middle - wider * (middle - ranks[0]) + _SLACK)
    return low, math.ceil(middle + wider * (ranks[1] - middle) - _SLACK)


def _round_size(count: int, block: int) -> int:
    """Fewer than two whole rounds say nothing of how rounds differ: every sample then counts as one."""
    return block if 2 * block <= count else 1


def _stretch(rounds: int) -> int:
    """How many neighboring rounds are kept together: R^(1/3), rounded down."""
    return math.floor(math.cbrt(rounds) + _SLACK)


def _resampled_rounds(rounds: int, seed: int) -> NDArray[np.int64]:
    """(RESAMPLES, rounds) numbers of the rounds that were drawn."""
    length = _stretch(rounds)
    generator = np.random.default_rng(seed)
    starts = generator.integers(0, rounds - length + 1, size=(RESAMPLES, math.ceil(rounds / length)))
    return (starts[:, :, None] + np.arange(length)).reshape(RESAMPLES, -1)[:, :rounds]


def _resampled_medians(samples: NDArray[np.int64], drawn: NDArray[np.int64], block: int) -> NDArray[np.float64]:
    """(RESAMPLES,) the median of each draw, as `_median` takes it."""
    rounds = samples[: drawn.shape[1] * block].reshape(-1, block)
    middle = (rounds.size + 1) // 2 - 1
    rows = max(1, CHUNK_CELLS // rounds.size)
    chunks = [drawn[start : start + rows] for start in range(0, len(drawn), rows)]
    found = [np.partition(rounds[chunk].reshape(len(chunk), -1), middle, axis=1)[:, middle] for chunk in chunks]
    return np.concatenate(found).astype(np.float64)


def _expanded_tail(stretches: int) -> float:
    """The share of a bootstrap distribution to leave out on each side, at least two stretches being resampled."""
    wider = math.sqrt(stretches / (stretches - 1)) * student(stretches - 1)
    return NormalDist().cdf(-wider)


def _median(samples: NDArray[np.int64]) -> float:
    """The order statistic that `quantile` gives for q = 0.5, so that ratios and quoted times agree."""
    return float(np.quantile(samples, 0.5, method="inverted_cdf"))


def _quantile_ranks(count: int, q: float) -> tuple[int, int] | None:
    """Ranks (1-based) of the order statistics around the q-quantile, or None when `count` is too small."""
    below = _binomial_cdf(count, q)  # below[k] = P(at most k samples are smaller)
    error = 1 - CONFIDENCE
    least_low = below[0]  # P(not one sample is smaller): the error of taking the smallest sample as the lower end
    least_high = 1 - below[count - 1]  # P(all are smaller): the error of taking the largest as the upper end
    if least_low + least_high > error:
        return None
    for_low, for_high = error / 2, error / 2
    if least_high > for_high:
        for_low, for_high = error - least_high, least_high
    elif least_low > for_low:
        for_low, for_high = least_low, error - least_low
    slack = 1e-12  # of the cumulative sum
    low = int(np.searchsorted(below, for_low + slack, side="right"))  # below[low - 1] <= for_low
    high = int(np.searchsorted(below, 1 - for_high - slack, side="left")) + 1  # 1 - below[high - 1] <= for_high
    return low, high


def _binomial_cdf(count: int, q: float) -> NDArray[np.float64]:
    """P(B <= k) for k = 0..count, B binomial(count, q), summed from the recurrence of the terms in logarithms."""
    k = np.arange(1, count + 1, dtype=np.float64)
    steps = np.log((count - k + 1) / k) + math.log(q / (1 - q))
    logs = np.concatenate([[count * math.log1p(-q)], count * math.log1p(-q) + np.cumsum(steps)])
    return np.asarray(np.minimum(np.cumsum(np.exp(logs)), 1.0), dtype=np.float64)
