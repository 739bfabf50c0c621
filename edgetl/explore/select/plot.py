"""select.png: accuracy of the probe against latency, one labeled point per candidate."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from edgetl.explore.select.result import Row, Selection
from edgetl.files.durable import write_bytes
from edgetl.report.plots import log_axis

_COLORS = {"fits": "#1f6feb", "over budget": "#9a6700"}
_MARKERS = {"fits": "o", "over budget": "X"}
_STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
_DOTS_PER_INCH = 130


def draw(found: Selection, path: Path) -> None:
    """Write the plot; without latencies the x axis shows multiply-accumulates, without top-1 the y axis shows LogME."""
    rows = [row for row in found.rows if row.transfer and row.cost]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(7.0, 4.4), layout="constrained")
        FigureCanvasAgg(figure)
        panel = figure.subplots()
        for number, row in enumerate(sorted(rows, key=_across)):
            _point(panel, row, above=number % 2 == 0)
        _label(panel, found, rows)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    write_bytes(path, content.getvalue())


def _point(panel: Axes, row: Row, *, above: bool) -> None:
    x, y = _across(row), _up(row)
    assert row.transfer is not None
    top1 = row.transfer.top1
    spread = [[100 * (top1.value - top1.low)], [100 * (top1.high - top1.value)]] if top1 else None
    color, marker = _COLORS[row.verdict], _MARKERS[row.verdict]
    panel.errorbar([x], [y], yerr=spread, fmt=marker, color=color, elinewidth=1, capsize=3)
    # neighbors in latency are often neighbors in accuracy: their names must not overlap
    place = (7, 5 if above else -13)
    panel.annotate(row.name, (x, y), xytext=place, textcoords="offset points", color=color, parse_math=False)


def _label(panel: Axes, found: Selection, rows: list[Row]) -> None:
    measured = any(row.cost and row.cost.p50_ms for row in rows)
    threads = f"{found.threads} thread{'s' if found.threads > 1 else ''}"
    panel.set_xlabel(
        f"median latency of the float model on {found.target}, {threads}, ms" if measured else "million MACs per image"
    )
    panel.set_ylabel("held-out top-1 of a ridge probe, %" if any(_top1(row) for row in rows) else "LogME")
    places = [_across(row) for row in rows] or [1.0]
    log_axis(panel, min(places), max(places))
    # names are to the right of their points
    panel.margins(x=0.3, y=0.15)
    if measured and found.budget.max_ms is not None:
        panel.axvline(found.budget.max_ms, color="#57606a", linestyle="--", linewidth=1, label="latency budget")
        panel.legend(loc="lower right")
    panel.grid(alpha=0.3)


def _across(row: Row) -> float:
    assert row.cost is not None
    return row.cost.p50_ms.value if row.cost.p50_ms else max(row.cost.macs, 1) / 1e6


def _up(row: Row) -> float:
    assert row.transfer is not None
    return 100 * row.transfer.top1.value if row.transfer.top1 else row.transfer.logme


def _top1(row: Row) -> bool:
    return row.transfer is not None and row.transfer.top1 is not None
