"""The order of candidates, and which fit the budget."""

from __future__ import annotations

import json
from dataclasses import replace

from rich.console import Console

from edgetl.explore.select.result import Budget, Cost, Row, Selection, Transfer, failed, judge, ranked
from edgetl.explore.select.table import show_selection
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


def _probed(name: str, right: int, ms: float, max_ms: float | None = None, images: int = 60) -> Row:
    """A candidate whose probe had the first `right` of the images right."""
    score = right / images
    row = _row(name, score, ms=ms) if max_ms is None else _row(name, score, ms=ms, max_ms=max_ms)
    assert row.transfer is not None
    answers = tuple(float(image < right) for image in range(images))
    return replace(row, transfer=replace(row.transfer, right=answers, images=images))


def test_of_what_the_images_cannot_tell_apart_the_fastest_is_taken_and_said_why() -> None:
    rows = ranked([_probed("resnet50", 59, 276), _probed("mobilenetv2_100", 58, 25), _probed("small", 58, 9.5)])
    assert [row.name for row in rows] == ["small", "mobilenetv2_100", "resnet50"]
    assert all(row.equal for row in rows)
    found = Selection("steel", "x86-cpu", "", 1, Budget(), rows)
    assert found.best is rows[0]
    assert found.why == (
        "take small: the fastest of 3 that 60 shots cannot distinguish (resnet50 is 1.7 points ahead and 29 times as "
        "slow)"
    )
    assert found.to_json()["why"] == found.why


def test_what_is_clearly_less_accurate_is_not_taken_for_its_speed() -> None:
    rows = ranked([_probed("quick", 40, 1), _probed("good", 58, 20)])
    assert [(row.name, row.equal) for row in rows] == [("good", True), ("quick", False)]
    assert Selection("steel", "x86-cpu", "", 1, Budget(), rows).why == (
        "take good: most accurate of those within budget"
    )


def test_what_is_over_budget_is_not_what_others_are_held_against() -> None:
    rows = ranked([_probed("huge", 60, 900, max_ms=50), _probed("good", 50, 20, max_ms=50)])
    assert [row.name for row in rows] == ["good", "huge"]
    assert rows[0].equal
    assert not rows[1].equal


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


def test_case_names_broken_in_mid_word_long_names_break_behind_a_separator() -> None:
    row = _probed("tf_mobilenetv3_small_100", 58, 9.5)
    console = Console(width=80, record=True, highlight=False)
    with console.capture() as shown:
        show_selection(Selection("steel", "x86-cpu", "", 1, Budget(), ranked([row])), console)
    words = [line.split()[0] for line in shown.get().splitlines() if line.strip()]
    assert "tf_mobilenetv3_" in words
    assert "small_100" in words
    assert "take this" in shown.get()
