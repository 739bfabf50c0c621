"""The ranking as one table on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgetl.diagnose.blame.result import Blame, BlamedLayer
from edgetl.diagnose.blame.verdict import change, percent
from edgetl.report import words
from edgetl.report.terminal import titled_table

SHOWN = 10
_NAME_WIDTH = 32  # columns


def show_blame(found: Blame, console: Console | None = None) -> None:
    """Print the sentence and the first layers to stdout, and why there are no latencies."""
    out = console or Console(highlight=False)
    out.print(found.verdict, markup=False)
    out.print()
    out.print(table(found))
    left = len(found.layers) - shown_rows(found)
    if left:
        out.print(f"{left} more layers in the page and the JSON")
    if found.unmeasured:
        out.print(f"latency not measured: {found.unmeasured}", markup=False, soft_wrap=True)


def shown_rows(found: Blame) -> int:
    """The rows to show: at least the layers that were measured further."""
    measured = sum(layer.accuracy is not None for layer in found.layers)
    return min(len(found.layers), max(SHOWN, measured))


def table(found: Blame) -> Table:
    """One row per layer in the ranking's order. Fits 80 columns."""
    grid = titled_table(f"Layers of {found.recipe} on {found.target} in INT8, the costliest first")
    grid.add_column("layer\nMACs", overflow="fold")
    grid.add_column("SQNR own\nall, dB", justify="right", no_wrap=True)
    grid.add_column("error back\nalone, %", justify="right", no_wrap=True)
    grid.add_column("points back\nin float", justify="right", no_wrap=True)
    grid.add_column("latency\nin float", justify="right", no_wrap=True)
    for layer in found.layers[: shown_rows(found)]:
        grid.add_row(*_cells(layer))
    return grid


def decibels(value: float | None) -> str:
    return "exact" if value is None else words.points(value)[:-1]


def _cells(layer: BlamedLayer) -> tuple[Text, ...]:
    macs = words.DASH if layer.macs is None else f"{layer.macs / 1e6:,.2f} M"
    return (
        _stack(words.broken(layer.name, _NAME_WIDTH), macs),
        _stack(decibels(layer.own_sqnr_db), decibels(layer.sqnr_db)),
        _stack(percent(layer.regained), percent(layer.lost)),
        _points(layer),
        _latency(layer),
    )


def _points(layer: BlamedLayer) -> Text:
    if layer.accuracy is None:
        return Text(words.DASH)
    points = layer.accuracy.regained_points
    return _stack(words.points(points.value), words.points_range(points.low, points.high))


def _latency(layer: BlamedLayer) -> Text:
    if layer.latency is None:
        return Text(words.DASH)
    cost = layer.latency.cost_percent
    return _stack(f"{change(cost.value)} %", f"{change(cost.low)}…{change(cost.high)}")


def _stack(first: str, second: str) -> Text:
    return Text.assemble(first, "\n", (second, "dim"))
