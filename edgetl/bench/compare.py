"""Two bundles against each other on this machine: timed in the same rounds, opened anew several times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgetl.bench import time_stats
from edgetl.bench.bundles import Measured, measure_bundles
from edgetl.bench.measurement import Measurement
from edgetl.bench.timed import Timing
from edgetl.bundle.read import bundle_folders
from edgetl.errors import UsageError
from edgetl.types import Interval, Progress

Found = Literal["no difference seen", "the first is faster", "the second is faster"]
_Times = NDArray[np.int64]
_QUANTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}


@dataclass(frozen=True)
class Ratio:
    """One quantile of the second bundle's times over that of the first.

    repeats  the ratio of each repeat, in order
    found    `no difference seen` if the interval contains 1
    """

    figure: str
    ratio: Interval
    repeats: tuple[float, ...]
    found: Found


@dataclass(frozen=True)
class Comparison:
    """first, second  folders of the bundles; `measurement` is that of both."""

    first: str
    second: str
    ratios: tuple[Ratio, ...]
    measurement: Measurement
    schema: Literal[1] = 1


def two_bundles(paths: Sequence[Path]) -> tuple[Path, Path]:
    """Two bundles, or the two in one folder. Raises UsageError for another number of them."""
    folders = [folder for path in paths for folder in bundle_folders(path)]
    if len(folders) != 2:
        names = ", ".join(folder.name for folder in folders[:5])
        raise UsageError(
            f"{paths[0]}: expected two bundles to compare, found {len(folders)}: {names}; name two folders"
        )
    return folders[0], folders[1]


def compare(paths: Sequence[Path], timing: Timing, repeats: int, progress: Progress) -> Comparison:
    """Time two bundles in the same rounds, `repeats` times (at least 2), each time opened anew.

    Raises UsageError; BundleError if they take different inputs; BackendError if one cannot run here.
    """
    return compared(measure_bundles(two_bundles(paths), None, timing, progress, repeats=repeats))


def compared(measured: Measured) -> Comparison:
    """The ratios of two bundles that were measured together, at least twice. Repeats are the sample of the intervals,
    because they differ by more than the runs inside one."""
    (first, second), rows = measured.times, measured.measurement.bundles
    ratios = tuple(_ratio(figure, q, first, second) for figure, q in _QUANTILES.items())
    return Comparison(rows[0].bundle, rows[1].bundle, ratios, measured.measurement)


def _ratio(figure: str, q: float, first: Sequence[_Times], second: Sequence[_Times]) -> Ratio:
    values = tuple(_quantile(two, q) / _quantile(one, q) for one, two in zip(first, second, strict=True))
    ratio = time_stats.over_repeats(values)
    return Ratio(figure, ratio, values, _found(ratio))


def _quantile(times: _Times, q: float) -> float:
    return float(np.quantile(times, q, method="inverted_cdf"))


def _found(ratio: Interval) -> Found:
    if ratio.low <= 1 <= ratio.high:
        return "no difference seen"
    return "the second is faster" if ratio.value < 1 else "the first is faster"
