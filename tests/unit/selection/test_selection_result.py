"""The order of candidates, and which fit the budget."""

from __future__ import annotations

import json

from rich.console import Console

from edgetl.selection.result import Budget, Cost, Row, Selection, Transfer, failed, judge, ranked
from edgetl.selection.table import show_selection
from edgetl.types import Estimate, Interval


def _row(name: str, top1: float | None, logme: float = 0.0, ms: float = 1.0, size: int = 100, **limits: float) -> Row:
    interval = None if top1 is None else Interval(top1, top1 - 0.1, min(top1 + 0.1, 1.0))
    cost = Cost(224, 224, 1_000_000, 50_000_000, size, Interval(ms, ms, ms), Estimate(2 * ms))
    budget = Budget(limits.get("max_ms"), int(limits["max_bytes"]) if "max_bytes" in limits else None)
    return judge(name, Transfer(interval, logme, 30, 8), cost, budget)


def _names(*rows: Row) -> list[str]:
    return [row.name for row in ranked(rows)]


def test_the_probe_decides_then_logme_then_the_name() -> None:
    assert _names(_row("c", 0.8, 0.9), _row("b", 0.9, 0.1), _row("a", 0.9, 0.2)) == ["a", "b", "c"]
    assert _names(_row("b", None, 0.1), _row("a", None, 0.1), _row("c", None, 0.5)) == ["c", "a", "b"]


def test_what_exceeds_the_budget_comes_after_what_fits_and_what_failed_comes_last() -> None:
    slow, large = _row("slow", 0.99, ms=9, max_ms=5), _row("large", 0.98, size=500, max_bytes=400)
    assert _names(failed("gone", "no weights"), slow, _row("fine", 0.5), large) == ["fine", "slow", "large", "gone"]
    assert (slow.verdict, slow.reason) == ("over budget", "9 ms, 5 allowed")
    assert large.reason == "500 bytes, 400 allowed"


def test_a_budget_that_is_met_exactly_is_met() -> None:
    assert _row("a", 0.9, ms=5, size=400, max_ms=5, max_bytes=400).verdict == "fits"


def test_nothing_is_best_when_nothing_fits() -> None:
    found = Selection("pets", "x86-cpu", "", 1, Budget(max_ms=1), ranked([_row("a", 0.9, ms=2, max_ms=1)]))
    assert found.best is None
    assert found.to_json()["best"] is None
    json.dumps(found.to_json(), allow_nan=False)


def test_the_table_fits_80_columns_and_gives_every_reason() -> None:
    rows = ranked([_row("a_network_with_a_long_name_100", 0.912), failed("gone", "its weights are missing")])
    found = Selection("pets", "arm64-cpu", "needs a CPU of type aarch64", 1, Budget(), rows)
    console = Console(width=80, record=True, highlight=False)
    with console.capture() as shown:
        show_selection(found, console)
    text = shown.get()
    assert "91.2" in text
    assert "gone: failed: its weights are missing" in text
    assert "latency not measured: needs a CPU of type aarch64" in text
    table = text.split("gone: failed")[0]
    assert max(map(len, table.splitlines())) <= 80
