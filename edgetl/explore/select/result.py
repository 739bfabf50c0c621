"""The data about each candidate, and the resulting order. select.json has exactly this content."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from edgetl.types import Estimate, Interval, stats

SCHEMA = 2
_MOST_BEHIND_POINTS = 3.0  # points; with few shots larger differences may be chance, but nobody gives them up for speed
Verdict = Literal["fits", "over budget", "failed"]
_ORDER: dict[Verdict, int] = {"fits": 0, "over budget": 1, "failed": 2}


@dataclass(frozen=True)
class Budget:
    """Limits in milliseconds (median) and bytes of the float model; None without a limit."""

    max_ms: float | None = None
    max_bytes: int | None = None


@dataclass(frozen=True)
class Transfer:
    """How well frozen features separate the classes, of images or of objects and background.

    top1   of a ridge probe on held-out folds, a fraction; None with one image per class
    logme  maximum log evidence per image (You et al. 2021)
    images, features  what both were computed from: (images, features)
    right  share of the repeats in which the probe had each image right (of its objects the mean), in the order of the
           shots, because candidates are compared image by image
    """

    top1: Interval | None
    logme: float
    images: int
    features: int
    right: tuple[float, ...] = ()


@dataclass(frozen=True)
class Cost:
    """The cost of the float network on the target.

    macs            multiply-accumulates of one image
    size_bytes      of the compiled float model, or of its ONNX file if the target's toolchain is missing
    p50_ms, p99_ms  of one image; None if the target cannot be measured here
    peak_rss_bytes  memory that opening it and one inference add to an idle process
    """

    height: int
    width: int
    parameters: int
    macs: int
    size_bytes: int
    p50_ms: Interval | None = None
    p99_ms: Estimate | None = None
    cold_start_ms: float | None = None
    peak_rss_bytes: int | None = None
    placement: str | None = None


@dataclass(frozen=True)
class Row:
    """One candidate. `reason` says why it failed or what it exceeds; empty if it is within budget.

    equal       as good as the most accurate one within budget, as far as these images can tell
    difference  top-1 of the most accurate one within budget minus its own, in points; None if unknown
    """

    name: str
    transfer: Transfer | None
    cost: Cost | None
    verdict: Verdict
    reason: str = ""
    equal: bool = False
    difference: float | None = None


@dataclass(frozen=True)
class Selection:
    """The candidates in their order.

    unmeasured  why there are no latencies; empty if they were measured
    """

    recipe: str
    target: str
    unmeasured: str
    threads: int
    budget: Budget
    rows: tuple[Row, ...]

    @property
    def best(self) -> Row | None:
        """The one to take: the fastest within budget that the images cannot distinguish from the best."""
        return self.rows[0] if self.rows and self.rows[0].verdict == "fits" else None

    @property
    def why(self) -> str:
        """Why that one, in a sentence; empty if nothing is within budget."""
        best = self.best
        if best is None:
            return ""
        others = [row for row in self.rows[1:] if row.equal]
        if not best.equal or not others:
            first = "most accurate" if best.transfer and best.transfer.top1 else "best LogME"
            return f"take {best.name}: {first} of those within budget"
        ahead = [row for row in others if (row.difference or 0.0) < (best.difference or 0.0)]
        text = f"take {best.name}: the {'fastest' if _timed(best) else 'smallest'} of {len(others) + 1} that "
        text += f"{best.transfer.images if best.transfer else 0} shots cannot distinguish"
        if not ahead:
            return text
        more = min(ahead, key=lambda row: row.difference or 0.0)
        return f"{text} ({more.name} is {best.difference:.1f} points ahead{_slower(more, best)})"

    def to_json(self) -> dict[str, Any]:
        best = self.best
        return {"schema": SCHEMA, **asdict(self), "best": best.name if best else None, "why": self.why}


def judge(name: str, transfer: Transfer, cost: Cost, budget: Budget) -> Row:
    """A measured candidate against the budget."""
    exceeded = []
    if budget.max_ms is not None and cost.p50_ms is not None and cost.p50_ms.value > budget.max_ms:
        exceeded.append(f"{cost.p50_ms.value:.3g} ms, {budget.max_ms:g} allowed")
    if budget.max_bytes is not None and cost.size_bytes > budget.max_bytes:
        exceeded.append(f"{cost.size_bytes} bytes, {budget.max_bytes} allowed")
    return Row(name, transfer, cost, "over budget" if exceeded else "fits", "; ".join(exceeded))


def failed(name: str, reason: str) -> Row:
    """A candidate that could not be compared, and why."""
    return Row(name, None, None, "failed", reason)


def ranked(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Within budget, over budget, failed; in each group by the probe's top-1, then by LogME, then by name.

    Candidates within budget that the images cannot distinguish from the most accurate one come first, the fastest
    first: their difference in accuracy may be chance (the 95 % interval of the paired difference includes 0) and is no
    more than a few points, while the difference in speed is certain.
    """
    ordered = sorted(rows, key=_key)
    best = next((row for row in ordered if row.verdict == "fits" and row.transfer and row.transfer.right), None)
    if best is None:
        return tuple(ordered)
    compared = [_compared(row, best) for row in ordered]
    return tuple(sorted(compared, key=lambda row: (not row.equal, _cost_key(row) if row.equal else (0.0, 0.0))))


def _compared(row: Row, best: Row) -> Row:
    assert best.transfer is not None
    if row.transfer is None or len(row.transfer.right) != len(best.transfer.right):
        return row
    differences = np.array(best.transfer.right) - np.array(row.transfer.right)
    images = len(differences)
    # a difference of one image is never certain
    deviation = max(float(differences.std(ddof=1)) if images > 1 else 0.0, 1 / images)
    mean = float(differences.mean())
    chance = stats.student(max(images - 1, 1)) * deviation / math.sqrt(images)
    equal = row.verdict == "fits" and mean <= chance and 100 * mean <= _MOST_BEHIND_POINTS
    return replace(row, equal=equal, difference=100 * mean)


def _cost_key(row: Row) -> tuple[float, float]:
    assert row.cost is not None
    return row.cost.p50_ms.value if row.cost.p50_ms else 0.0, float(row.cost.macs)


def _timed(row: Row) -> bool:
    return row.cost is not None and row.cost.p50_ms is not None


def _slower(row: Row, than: Row) -> str:
    if row.cost is None or than.cost is None or row.cost.p50_ms is None or than.cost.p50_ms is None:
        return ""
    ratio = row.cost.p50_ms.value / than.cost.p50_ms.value
    return f" and {ratio:.2g} times as slow" if ratio > 1 else ""


def _key(row: Row) -> tuple[int, float, float, str]:
    if row.transfer is None:
        return _ORDER[row.verdict], 0.0, 0.0, row.name
    top1 = row.transfer.top1.value if row.transfer.top1 else 0.0
    return _ORDER[row.verdict], -top1, -row.transfer.logme, row.name
