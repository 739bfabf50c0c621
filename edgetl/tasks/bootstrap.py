"""Bootstrap over images or groups of images, for scores that are no mean over images. Every draw has a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgetl.types import Interval

RESAMPLES = 2000
_TAILS = (0.025, 0.975)
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


def moved_interval(
    value: float, draws: Floats, lowest: float = -float("inf"), highest: float = float("inf")
) -> Interval:
    """The percentile interval of the draws, moved by the bootstrap's bias, with the value in it.

    Draws without a value (NaN) are left out. Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap",
    chapters 10 and 13, as in `edgetl.stats.macro_f1_interval`.
    """
    known = draws[~np.isnan(draws)]
    if not known.size:
        return Interval(value, value, value)
    low, high = np.quantile(known, _TAILS) - known.mean() + value
    return Interval(value, min(max(float(low), lowest), value), max(min(float(high), highest), value))
