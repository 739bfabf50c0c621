"""Intervals for the numbers of a benchmark. Pure functions; every random draw has a seed.

All intervals have (at least nominally) 95 % coverage. Accuracies are fractions, differences percentage points.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edgetl.types import ClassRecall, Estimate, Interval

CONFIDENCE = 0.95
RESAMPLES = 2000
P99_ROUNDS = 600
"""Number of rounds from which an interval of p99 is valid (docs/decisions/0006-latency-protocol.md)."""
_MOST_CORRELATED = 0.6  # of a round's median with the one before: above, stretches are too short for the drift
_SLACK = 1e-9  # of ranks and lengths that are whole numbers but for rounding
_CHUNK_CELLS = 4_000_000  # bounds the memory of one block of bootstrap draws


def wilson(successes: int, total: int) -> Interval:
    """A proportion with its score interval.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22:209-212.
    Raises ValueError unless 0 <= successes <= total and total >= 1.
    """
    if not 0 <= successes <= total or total < 1:
        raise ValueError(f"expected 0 <= successes <= total and total >= 1; found {successes} of {total}")
    z = _z()
    share = successes / total
    middle = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    # the ends are exact at 0 and 1, where rounding would leave 1e-17
    low = 0.0 if successes == 0 else (middle - spread) / scale
    high = 1.0 if successes == total else (middle + spread) / scale
    return Interval(share, min(low, share), max(high, share))


def poisson_rate(count: int, exposure: float) -> Interval:
    """Events per unit of exposure, with the exact interval of a Poisson count.

    Source: Garwood 1936, "Fiducial limits for the Poisson distribution", Biometrika 28:437-442.
    Raises ValueError unless count >= 0 and exposure > 0.
    """
    if count < 0 or not exposure > 0:
        raise ValueError(f"expected count >= 0 and exposure > 0; found {count} and {exposure}")
    tail = (1 - CONFIDENCE) / 2
    low = _poisson_mean(count - 1, 1 - tail) if count else 0.0
    return Interval(count / exposure, low / exposure, _poisson_mean(count, tail) / exposure)


def _poisson_mean(most: int, share: float) -> float:
    """The mean at which a Poisson count is at most `most` with probability `share`, by bisection."""
    numbers = np.arange(most + 1)
    factorials = np.array([math.lgamma(number + 1) for number in numbers])
    low, high = 0.0, 2.0 * most + 20
    for _ in range(100):
        middle = (low + high) / 2
        at_most = float(np.exp(numbers * math.log(middle) - middle - factorials).sum())
        low, high = (middle, high) if at_most > share else (low, middle)
    return (low + high) / 2


def paired_difference(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Interval:
    """Share right in `first` minus share right in `second`, in points, judged on the same images.

    first, second  (N,) bool, N >= 1: whether image i was predicted correctly.
    Source: Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions based on
    paired data", Statistics in Medicine 17:2635-2650, method 10 (Wilson limits combined by square-and-add, with a
    continuity-corrected phi for the correlation of the pairs).
    Raises ValueError when the shapes differ or are empty.
    """
    if first.shape != second.shape or first.ndim != 1 or first.size == 0:
        raise ValueError(f"expected two vectors of one length >= 1; found shapes {first.shape} and {second.shape}")
    both = int(np.count_nonzero(first & second))
    only_first = int(np.count_nonzero(first & ~second))
    only_second = int(np.count_nonzero(~first & second))
    neither = first.size - both - only_first - only_second
    one = wilson(both + only_first, first.size)
    two = wilson(both + only_second, first.size)
    phi = _corrected_phi(both, only_first, only_second, neither)
    down = _square_and_add(one.value - one.low, two.high - two.value, phi)
    up = _square_and_add(one.high - one.value, two.value - two.low, phi)
    difference = (only_first - only_second) / first.size
    return Interval(100 * difference, 100 * (difference - down), 100 * (difference + up))


def recalls(
    labels: NDArray[np.int64], right: NDArray[np.bool_], float_right: NDArray[np.bool_], classes: int
) -> tuple[ClassRecall, ...]:
    """Recall of every class, with Wilson intervals, and what it lost against the float network, paired.

    labels              (N,) true classes, 0 to classes - 1
    right, float_right  (N,) bool: whether image i was predicted correctly, by a network and by the float one
    """
    found: list[ClassRecall] = []
    for label in range(classes):
        mine, theirs = right[labels == label], float_right[labels == label]
        if not mine.size:
            found.append(ClassRecall(0, None, None, None))
            continue
        recall, float_recall = (wilson(int(each.sum()), each.size) for each in (mine, theirs))
        found.append(ClassRecall(mine.size, recall, float_recall, paired_difference(theirs, mine)))
    return tuple(found)


def macro_f1(labels: NDArray[np.int64], predictions: NDArray[np.int64]) -> float:
    """Mean of the per-class F1 over the classes that occur in labels or predictions, as a fraction.

    labels, predictions  (N,) class indices >= 0, N >= 1. A class never found right has F1 = 0.
    """
    truth, answer, cells = _cells(labels, predictions)
    return float(_macro_f1(truth, answer, cells[None, :])[0])


def macro_f1_interval(labels: NDArray[np.int64], predictions: NDArray[np.int64], seed: int = 0) -> Interval:
    """Macro-F1 with a bootstrap interval over images: the percentile interval, moved by the bootstrap's bias.

    Few images per class make resamples score lower than the sample itself; without the move the interval would lie
    beside the estimate. Images are resampled as counts of (label, prediction) pairs, which is the same draw and needs
    less memory. Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 10 and 13.
    """
    truth, answer, cells = _cells(labels, predictions)
    value = float(_macro_f1(truth, answer, cells[None, :])[0])
    generator = np.random.default_rng(seed)
    shares = cells / cells.sum()
    rows = max(1, _CHUNK_CELLS // cells.size)
    draws: list[NDArray[np.float64]] = []
    for start in range(0, RESAMPLES, rows):
        counts = generator.multinomial(int(cells.sum()), shares, size=min(rows, RESAMPLES - start))
        draws.append(_macro_f1(truth, answer, counts))
    resampled = np.concatenate(draws)
    low, high = np.quantile(resampled, _tails()) - resampled.mean() + value
    return Interval(value, min(max(float(low), 0.0), value), max(min(float(high), 1.0), value))


def quantile(samples: NDArray[np.int64] | NDArray[np.float64], q: float, *, block: int | None) -> Interval | None:
    """The q-quantile of the distribution the samples come from, with an interval that assumes no shape of it.

    samples  (N,) numbers in the order in which they were taken.
    block    samples in a row that make a round and share what the machine did then (with fewer than two whole rounds
             each sample counts as one); None: all are independent.
    value    the order statistic of rank ceil(q N).
    low, high  order statistics whose ranks a binomial(N, q) count of smaller samples leaves on either side with a
    probability of at most 5 % together: 2.5 % each, or, where the outermost sample cannot reach 2.5 %, all that it
    needs and the rest for the other side. None when N is too small for any: p99 needs at least 299 samples.
    Where the share of samples up to `value` differs between stretches of rounds more than binomial counts do, both
    ranks move away from q N in proportion, as far as there are samples: of 300 runs in rounds that differ, no sample
    bounds p99 with 95 %, and its upper end is the slowest run.
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


def p99(samples: NDArray[np.int64] | NDArray[np.float64], *, block: int) -> Estimate:
    """The 0.99-quantile, with the interval of `quantile` if that contains the true value in 93 to 97 of 100 cases.

    Without ends it is an indication: there are fewer than `P99_ROUNDS` rounds, which are the sample; no run is slow
    enough to be the upper end; or rounds resemble the one before so closely that stretches of them are no sample.
    Raises ValueError without samples.
    """
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"expected a vector of samples; found shape {samples.shape}")
    value = float(np.partition(samples, _rank(samples.size, 0.99) - 1)[_rank(samples.size, 0.99) - 1])
    ranks = _quantile_ranks(samples.size, 0.99)
    if samples.size < P99_ROUNDS * block or ranks is None:
        return Estimate(value)
    _, high = _wider_ranks(ranks, samples.size, 0.99, _design_factor(samples <= value, 0.99, block))
    found = quantile(samples, 0.99, block=block)
    if found is None or high > samples.size or _memory(samples, block) > _MOST_CORRELATED:
        return Estimate(value)
    return Estimate(value, found.low, found.high)


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


def student(freedom: int) -> float:
    """Factor of a standard error in a two-sided 95 % interval, with 1, 2, 3, ... degrees of freedom.

    Exact for 1 and 2, else 0.15 % off at most. Source: Abramowitz and Stegun 1964, "Handbook of mathematical
    functions", 26.7.5. Raises ValueError below 1.
    """
    if freedom < 1:
        raise ValueError(f"expected at least 1 degree of freedom; found {freedom}")
    if freedom == 1:
        return math.tan(math.pi * CONFIDENCE / 2)
    if freedom == 2:
        return CONFIDENCE * math.sqrt(2 / (1 - CONFIDENCE**2))
    z = _z()
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / float(freedom) ** power for power, term in enumerate(terms))


def _design_factor(below: NDArray[np.bool_], q: float, block: int) -> float:
    """How many times further than for independent samples the ends of a quantile's interval lie, at least 1.

    below  (N,) bool: is the sample at most the quantile
    """
    block = _round_size(below.size, block)
    stretch = _stretch(below.size // block)
    count = below.size // block // stretch
    if count < 2:
        return 1.0
    shares = below[: count * stretch * block].reshape(count, -1).mean(axis=1)
    error = math.sqrt(float(np.square(shares - below.mean()).sum()) / (count - 1) / count)
    return max(1.0, error / math.sqrt(q * (1 - q) / below.size) * student(count - 1) / _z())


def _memory(samples: NDArray[np.int64] | NDArray[np.float64], block: int) -> float:
    """Correlation of the rounds' medians with those of the round before; 0 where all are equal."""
    medians = np.median(samples[: samples.size // block * block].reshape(-1, block), axis=1)
    off = medians - medians.mean()
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
    rows = max(1, _CHUNK_CELLS // rounds.size)
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


def _z() -> float:
    return NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)


def _tails() -> tuple[float, float]:
    return (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2


def _corrected_phi(both: int, only_first: int, only_second: int, neither: int) -> float:
    total = both + only_first + only_second + neither
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    if margins == 0:
        return 0.0
    excess = float(both * neither - only_first * only_second)
    if excess > 0:
        excess = max(excess - total / 2, 0.0)
    return excess / math.sqrt(margins)


def _square_and_add(one: float, two: float, phi: float) -> float:
    return math.sqrt(max(one * one - 2 * phi * one * two + two * two, 0.0))


def _cells(
    labels: NDArray[np.int64], predictions: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The (label, prediction) pairs that occur, as two vectors of compact class numbers, and their counts."""
    if labels.shape != predictions.shape or labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"expected two vectors of one length >= 1; found {labels.shape} and {predictions.shape}")
    _, compact = np.unique(np.concatenate([labels, predictions]), return_inverse=True)
    pairs = np.stack([compact[: labels.size], compact[labels.size :]])
    occurring, counts = np.unique(pairs, axis=1, return_counts=True)
    return occurring[0].astype(np.int64), occurring[1].astype(np.int64), counts.astype(np.int64)


def _macro_f1(truth: NDArray[np.int64], answer: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """counts (R, P): how often each of P pairs occurs in each of R samples -> (R,) macro-F1.

    F1 = 2 hits / (times true + times answered); a class with neither is left out of that sample's mean.
    """
    classes = int(max(truth.max(), answer.max())) + 1
    hits = np.zeros((counts.shape[0], classes))
    seen = np.zeros((counts.shape[0], classes))
    for pair, (label, prediction) in enumerate(zip(truth, answer, strict=True)):
        seen[:, label] += counts[:, pair]
        seen[:, prediction] += counts[:, pair]
        if label == prediction:
            hits[:, label] += counts[:, pair]
    occurs = seen > 0
    f1 = np.divide(2 * hits, seen, out=np.zeros_like(hits), where=occurs)
    return np.asarray(f1.sum(axis=1) / occurs.sum(axis=1), dtype=np.float64)


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
