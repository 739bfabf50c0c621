"""What is known about each candidate, and the order that follows from it. select.json holds exactly this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgetl.types import Estimate, Interval

SCHEMA = 1
Verdict = Literal["fits", "over budget", "failed"]
_ORDER: dict[Verdict, int] = {"fits": 0, "over budget": 1, "failed": 2}


@dataclass(frozen=True)
class Budget:
    """Most milliseconds (median) and bytes of the float model; None where there is no limit."""

    max_ms: float | None = None
    max_bytes: int | None = None


@dataclass(frozen=True)
class Transfer:
    """How well frozen features tell the classes apart.

    top1   of a ridge probe on held-out folds, a fraction; None with one image per class
    logme  maximum log evidence per image (You et al. 2021)
    images, features  what both were computed from: (images, features)
    """

    top1: Interval | None
    logme: float
    images: int
    features: int


@dataclass(frozen=True)
class Cost:
    """What the float network costs on the target.

    macs            multiply-accumulates of one image
    size_bytes      of the compiled float model, or of its ONNX file where the target's toolchain is not here
    p50_ms, p99_ms  of one image; None where the target cannot be measured here
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
    """One candidate. `reason` says why it failed or what it exceeds; empty when it fits."""

    name: str
    transfer: Transfer | None
    cost: Cost | None
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class Selection:
    """The candidates in their order.

    unmeasured  why there are no latencies; empty when they were measured
    """

    recipe: str
    target: str
    unmeasured: str
    threads: int
    budget: Budget
    rows: tuple[Row, ...]

    @property
    def best(self) -> Row | None:
        """The first within budget."""
        return self.rows[0] if self.rows and self.rows[0].verdict == "fits" else None

    def to_json(self) -> dict[str, Any]:
        best = self.best
        return {"schema": SCHEMA, **asdict(self), "best": best.name if best else None}


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
    """Within budget, over budget, failed; inside each by the probe's top-1, then by LogME, then by name."""
    return tuple(sorted(rows, key=_key))


def _key(row: Row) -> tuple[int, float, float, str]:
    if row.transfer is None:
        return _ORDER[row.verdict], 0.0, 0.0, row.name
    top1 = row.transfer.top1.value if row.transfer.top1 else 0.0
    return _ORDER[row.verdict], -top1, -row.transfer.logme, row.name
