"""Measured values with their intervals, and verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Verdict = Literal["pass", "fail", "not measured"]


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Score:
    """How good a build is, in one number of its task.

    metric       by its usual name: `AP`, `AP50`, `recall`
    value        a fraction: 1 is perfect
    drop_points  100 times what was lost against the float network on the same examples, paired; None: not compared.
                 Negative: this build is better
    """

    metric: str
    value: Interval
    drop_points: Interval | None = None


@dataclass(frozen=True)
class Estimate:
    """A value with or without a 95 % interval; without one it is an indication."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ClassRecall:
    """How many images of one class are recognized, by a network and by the float one on the same images.

    recall, float_recall  fractions; drop_points  the float network's minus this one's, paired. All None if the class
                          has no images.
    """

    images: int
    recall: Interval | None
    float_recall: Interval | None
    drop_points: Interval | None


class Quality(Protocol):
    """What every task measures of a build: `edgetl.tasks.base.Task.measure`.

    score        the first metric, which is gated
    drop_points  what it lost against the float network, in points, paired
    not_finite   examples with NaN or infinite outputs; they count as wrong
    recalls      of every class, in the order of the labels; empty where a task has none
    """

    @property
    def images(self) -> int: ...

    @property
    def score(self) -> Score: ...

    @property
    def drop_points(self) -> Interval: ...

    @property
    def not_finite(self) -> int: ...

    @property
    def recalls(self) -> tuple[ClassRecall, ...]: ...


@dataclass(frozen=True)
class ColdStart:
    """Medians over fresh processes.

    cold_start_ms       open (with loading the runtime) and the first inference
    peak_rss_bytes      peak resident memory that opening and the first inference add to
    baseline_rss_bytes  the memory of the process before: Python and numpy
    """

    cold_start_ms: float
    peak_rss_bytes: int
    baseline_rss_bytes: int
    repeats: int
