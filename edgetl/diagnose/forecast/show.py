"""A forecast as a table on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgetl.diagnose.forecast.forecast import Cost
from edgetl.diagnose.forecast.models import Examined
from edgetl.report import words
from edgetl.report.terminal import titled_table
from edgetl.tasks.base import TaskName


def show_examined(found: Examined, console: Console | None = None) -> None:
    """Print the layers that saturate, the cost, and the verdict, to stdout."""
    out = console or Console(highlight=False)
    layers = found.calibration.layers
    saturating = found.calibration.saturating
    if saturating:
        out.print(table(found))
    count = found.calibration.cost.images
    out.print(f"{len(saturating)} of {len(layers)} layers saturate on {count} calibration {found.noun}s", markup=False)
    if found.calibration.unknown:
        names = ", ".join(found.calibration.unknown)
        out.print(f"not modeled, treated as exact: {names}", markup=False, soft_wrap=True)
    out.print(
        f"with saturation: {cost_line(found.validation.cost, found.task, found.metric)}", markup=False, soft_wrap=True
    )
    out.print(Text.assemble((found.file, "bold"), f": {found.verdict}"), soft_wrap=True)


def table(found: Examined) -> Table:
    """One row per layer that saturates, in the order of the graph. Fits 80 columns."""
    grid = titled_table(f"{found.file} on an x86 CPU without VNNI")
    grid.add_column("layer", overflow="fold")
    for heading in ("saturating\nper million", "largest sum\n/ 32767", "error\nsteps"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for layer in found.calibration.saturating:
        numbers = (f"{1e6 * layer.saturated:,.2f}", f"{layer.peak:.2f}", f"{layer.error_steps:.2f}")
        grid.add_row(layer.name, *numbers)
    return grid


def cost_line(cost: Cost, task: TaskName, metric: str) -> str:
    """`logits off by 37.4 % of their spread, 58 of 64 predictions kept, top-1 96.9 % minus 4.69 points (−1.2…11.3)`."""
    kept, error = round(cost.agreement.value * cost.predictions), words.percent(cost.error)
    if task == "classification":
        line = f"logits off by {error} % of their spread, {kept} of {cost.predictions} predictions kept"
    else:
        line = f"scores and boxes off by {error} %, {kept} of {cost.predictions} objects keep their class"
    if cost.score is None or cost.cost_points is None:
        return line
    lost = cost.cost_points
    return (
        f"{line}, {metric} {words.percent(cost.score.value)} % minus {words.points(lost.value)} points "
        f"({words.points_range(lost.low, lost.high)})"
    )
