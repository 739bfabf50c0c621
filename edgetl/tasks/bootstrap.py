"""Bootstrap over images or groups of images, for scores that are no mean over images. Every draw has a seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgetl.types import Interval
from edgetl.types.stats import student

RESAMPLES = 1000
_CHUNK_CELLS = 1_000_000  # weights drawn at a time; bounds the memory of what is computed from them

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Weights (R, N) of the images in each of R draws -> one value per draw, (R, ...), NaN if it has none."""


def resampled(
    statistic: Statistic, images: int, groups: Sequence[str] | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> Floats:
    """The statistic of `resamples` draws of the images with replacement, (R, ...).

    groups  of each image: groups are drawn, with all their images. The same images, groups and seed give the same
            draws, so that differences between the results of two builds are paired.
    Raises ValueError unless there is at least one image and `groups` names a group for each.
    """
    if images < 1 or (groups is not None and len(groups) != images):
        found = "" if groups is None else f" and {len(groups)} groups"
        raise ValueError(f"expected at least one image and a group for each; found {images} images{found}")
    member = np.arange(images) if groups is None else np.unique(np.array(groups), return_inverse=True)[1]
    units = int(member.max()) + 1
    generator = np.random.default_rng(seed)
    rows = max(1, _CHUNK_CELLS // images)
    parts = []
    for start in range(0, resamples, rows):
        drawn = generator.multinomial(units, np.full(units, 1 / units), size=min(rows, resamples - start))
        parts.append(statistic(drawn[:, member].astype(np.float64)))
    return np.concatenate(parts)


def interval_of(value: float, draws: Floats, units: int, lowest: float, highest: float) -> Interval:
    """A 95 % interval: normal, with the standard deviation of the draws, around the value less the bootstrap's bias.

    draws   (R,) the score of each draw; draws without a value (NaN) are left out
    units   how many images or groups were drawn from: few of them vary less than their population, so the standard
            deviation is raised by sqrt(n / (n - 1)) and the factor is Student's. With one, nothing is known.
    lowest, highest  that the score can be

    AP on few images is too high (its precision is a maximum), and that of draws from them is higher again by about as
    much; percentiles would miss on one side. Sources: Efron and Tibshirani 1993, "An Introduction to the Bootstrap",
    chapter 10; Hesterberg 2015, "What teachers should know about the bootstrap", The American Statistician 69:371-386.
    How often it contains the truth: benchmarks/ap_coverage.py.
    """
    known = draws[~np.isnan(draws)]
    if units < 2 or known.size < 2:
        return Interval(value, lowest, highest)
    half = student(units - 1) * float(known.std(ddof=1)) * math.sqrt(units / (units - 1))
    middle = 2 * value - float(known.mean())
    return Interval(value, min(max(middle - half, lowest), value), max(min(middle + half, highest), value))


def count_units(images: int, groups: Sequence[str] | None) -> int:
    """How many images or groups are drawn from."""
    return images if groups is None else len(set(groups))
