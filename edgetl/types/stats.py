"""Intervals for shares and scores. Pure functions; every random draw has a seed. Times: `edgetl.bench.time_stats`.

All intervals have (at least nominally) 95 % coverage. Accuracies are fractions, differences percentage points.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edgetl.types import ClassRecall, Interval

CONFIDENCE = 0.95
RESAMPLES = 2000
CHUNK_CELLS = 4_000_000  # bounds the memory of one block of bootstrap draws


def wilson(successes: int, total: int) -> Interval:
    """A proportion with its score interval.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22:209-212.
    Raises ValueError unless 0 <= successes <= total and total >= 1.
    """
    if not 0 <= successes <= total or total < 1:
        raise ValueError(f"expected 0 <= successes <= total and total >= 1; found {successes} of {total}")
    z = z95()
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


def difference_of_two(first: Interval, second: Interval) -> Interval:
    """first - second of two independent values with intervals, of any shape.

    Source: Zou and Donner 2008, "Construction of confidence limits about effect measures", Statistics in Medicine
    27:1693-1702; of proportions it is Newcombe's method 10.
    """
    down = math.hypot(first.value - first.low, second.high - second.value)
    up = math.hypot(first.high - first.value, second.value - second.low)
    value = first.value - second.value
    return Interval(value, value - down, value + up)


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
    rows = max(1, CHUNK_CELLS // cells.size)
    draws: list[NDArray[np.float64]] = []
    for start in range(0, RESAMPLES, rows):
        counts = generator.multinomial(int(cells.sum()), shares, size=min(rows, RESAMPLES - start))
        draws.append(_macro_f1(truth, answer, counts))
    resampled = np.concatenate(draws)
    low, high = np.quantile(resampled, _tails()) - resampled.mean() + value
    return Interval(value, min(max(float(low), 0.0), value), max(min(float(high), 1.0), value))


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
    z = z95()
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / float(freedom) ** power for power, term in enumerate(terms))


def z95() -> float:
    """Factor of a standard error in a two-sided 95 % interval."""
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
