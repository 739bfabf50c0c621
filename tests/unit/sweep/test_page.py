"""The page, the table and the CSV file of a sweep."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from edgetl.bench.ci_files import csv_text
from edgetl.sweep.front import front
from edgetl.sweep.page import render_page
from edgetl.sweep.row import Row, failed
from edgetl.sweep.run import Outcome, Request
from edgetl.sweep.space import Axis, Space
from edgetl.sweep.table import csv_rows, short_names, show_sweep

SPACE = Space((Axis("backbone.input_size", (32, [64, 96])), Axis("adapt.freeze", ("<b>", "auto"))))
RAW = {"name": "digits", "data": {"train": "scans"}, "backbone": {"name": "a"}, "targets": ["x86-cpu"]}


def row(number: int, score: float, p50_ms: float, freeze: str = "auto") -> Row:
    settings = {"backbone.input_size": [64, 96], "adapt.freeze": freeze}
    return Row(
        number, settings, "measured", "", "x86-cpu", "int8", "top-1", score, score - 0.1, 1.0, p50_ms, p50_ms, p50_ms,
        2_600_000, "pass", "a CPU", f"sweeps/x/trials/{number:03}",
    )  # fmt: skip


ROWS = (
    row(0, 0.95, 4.0),
    row(1, 0.90, 1.0, freeze="<b>"),
    row(2, 0.80, 2.0),
    failed(3, {"backbone.input_size": 32, "adapt.freeze": "<b>"}, "no <i>such</i> layer"),
)
OUTCOME = Outcome(Request(RAW, Path("/"), Path("/out"), SPACE, "grid", 4, 0, 0.05), ROWS, front(ROWS, 0.05))


def test_the_page_shows_every_trial_the_front_first_and_loads_nothing() -> None:
    page = render_page(OUTCOME)
    places = [page.index(f'href="sweeps/x/trials/{number:03}/report.html"') for number in (1, 0, 2)]
    assert places == sorted(places)
    assert page.count('<tr class="chosen">') == 2
    assert "http" not in page
    assert "<script" not in page
    assert "<b>" not in page
    assert "no &lt;i&gt;such&lt;/i&gt; layer" in page
    assert page.count("<svg") == 1
    assert "On the front: trial 1: 90.0 % at 1.00 ms, 2.6 MB; trial 0: 95.0 % at 4.00 ms, 2.6 MB." in page
    assert render_page(OUTCOME) == page


def test_the_table_marks_the_front_and_gives_reasons() -> None:
    stream = io.StringIO()
    show_sweep(OUTCOME, Console(file=stream, width=80, highlight=False))
    lines = stream.getvalue().splitlines()
    marked = [line.split()[:2] for line in lines if line.startswith("*")]
    assert marked == [["*", "1"], ["*", "0"]]
    assert "trial 3: failed: no <i>such</i> layer" in lines
    assert lines[-1] == "front (*): 2 of 4 trials, 2 pass the gates; 1 failed"


def test_a_sweep_without_measured_trials_has_a_page_too() -> None:
    alone = Outcome(OUTCOME.request, ROWS[3:], ())
    assert "<svg" not in render_page(alone)
    assert alone.exit_code == 1


def test_the_csv_file_has_a_row_per_trial() -> None:
    first, *rows = csv_text(csv_rows(OUTCOME)).splitlines()
    assert first.startswith("trial,front,backbone.input_size,adapt.freeze,state,reason,target,precision,metric,score,")
    assert [line.split(",")[:2] for line in rows] == [["0", "yes"], ["1", "yes"], ["2", "no"], ["3", "no"]]


def test_keys_are_short_where_that_is_clear() -> None:
    assert short_names(["adapt.epochs", "quantize.epochs", "adapt.head", "backbone.name"]) == [
        "adapt.epochs",
        "quantize.epochs",
        "head",
        "backbone.name",
    ]
