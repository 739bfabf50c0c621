"""The figure of a sweep: accuracy against latency and against size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from edgetl.report import words
from edgetl.report.plots import MARKERS, MUTED, SERIES, Picture, arms, log_axis, panels, svg_text
from edgetl.sweep.row import Row
from edgetl.sweep.run import Outcome
from edgetl.types import Precision

_BYTES_PER_MB = 1e6
_LOG_FROM = 8.0


def pareto(outcome: Outcome) -> Picture | None:
    """All measured trials, filled and numbered on the front; None without any."""
    rows = [row for row in outcome.rows if row.state == "measured"]
    if not rows:
        return None
    best = {row.number for row in outcome.front}
    with panels("sweep", 2, (4.2, 3.2), least=8.4) as (figure, grid):
        for panel, latency in zip(grid.flat, (True, False), strict=True):
            for row in rows:
                _point(panel, row, latency=latency, best=row.number in best)
            _axis(panel, rows, latency=latency)
        grid[0, 0].set_ylabel(f"{outcome.metric}, %")
        names = [name for name in SERIES if any(row.precision == name for row in rows)]
        marks = [
            Line2D([], [], linestyle="", marker=MARKERS[name], color=SERIES[name], markerfacecolor="none", label=name)
            for name in names
        ]
        front = Line2D(
            [], [], linestyle="", marker="o", color=MUTED, label="filled: on the front, with the number of the trial"
        )
        figure.legend(handles=[*marks, front], loc="outside upper left", ncols=len(marks) + 1, handletextpad=0.2)
        svg = svg_text(figure)
    points = "; ".join(
        f"trial {row.number}: {words.percent(row.score)} % at {words.milliseconds(row.p50_ms)} ms, "
        f"{words.size(row.size_bytes)}"
        for row in outcome.front
    )
    return Picture(svg, f"{words.capital(outcome.metric)} against median latency and size. On the front: {points}.")


def _point(panel: Axes, row: Row, *, latency: bool, best: bool) -> None:
    score, p50_ms, size = row.values
    precision = cast(Precision, row.precision)
    x = p50_ms if latency else size / _BYTES_PER_MB
    panel.errorbar(
        x,
        100 * score,
        xerr=arms(p50_ms, row.p50_ms_low, row.p50_ms_high, 1) if latency else None,
        fmt=MARKERS[precision],
        color=SERIES[precision],
        markerfacecolor=SERIES[precision] if best else "none",
        markersize=7,
        elinewidth=1,
        capsize=0,
    )
    if best:
        panel.annotate(str(row.number), (x, 100 * score), xytext=(5, 5), textcoords="offset points")


def _axis(panel: Axes, rows: Sequence[Row], *, latency: bool) -> None:
    places = [row.values[1] if latency else row.values[2] / _BYTES_PER_MB for row in rows]
    panel.set_xlabel("p50, ms" if latency else "size, MB")
    if max(places) > _LOG_FROM * min(places):
        log_axis(panel, min(places), max(places))
    else:
        panel.set_xlim(0, 1.1 * max(places))
    panel.grid(True, axis="y")
    panel.set_axisbelow(True)
