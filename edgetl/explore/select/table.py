"""The comparison as one terminal table. Words carry the verdict; color only repeats them."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgetl.explore.select.result import Row, Selection, Verdict
from edgetl.report import words
from edgetl.report.terminal import titled_table

_NAME_WIDTH = 18  # columns
_STYLES: dict[Verdict, str] = {"fits": "green", "over budget": "yellow", "failed": "bold red"}


def show_selection(found: Selection, console: Console | None = None) -> None:
    """Print the table to stdout, then why candidates failed, and why nothing was timed."""
    out = console or Console(highlight=False)
    out.print(table(found))
    for row in found.rows:
        if row.reason:
            out.print(Text.assemble((row.name, "bold"), f": {row.verdict}: {row.reason}"), soft_wrap=True)
    if found.why:
        out.print(found.why, markup=False, soft_wrap=True)
    if found.unmeasured:
        out.print(f"latency not measured: {found.unmeasured}", markup=False, soft_wrap=True)


def table(found: Selection) -> Table:
    """One row per candidate in its order. Fits 80 columns."""
    grid = titled_table(f"Backbones for {found.recipe} on {found.target}")
    grid.add_column("backbone\ninput", no_wrap=True)
    for heading in ("probe\ntop-1 %", "LogME", "p50\np99 ms", "size\nmemory", "parameters\nMACs"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("verdict", min_width=len("budget"))
    for row in found.rows:
        grid.add_row(*_cells(row, best=row is found.best))
    return grid


def _cells(row: Row, *, best: bool) -> tuple[Text, ...]:
    verdict = Text("take this" if best else "as good" if row.equal else row.verdict, _STYLES[row.verdict])
    transfer, cost = row.transfer, row.cost
    if transfer is None or cost is None:
        return (Text(words.broken(row.name, _NAME_WIDTH)), *(Text(words.DASH) for _ in range(5)), verdict)
    top1 = transfer.top1
    return (
        _stack(words.broken(row.name, _NAME_WIDTH), f"{cost.height}x{cost.width}"),
        _stack(words.percent(top1.value), words.percent_range(top1.low, top1.high)) if top1 else Text(words.DASH),
        Text(f"{transfer.logme:.3f}"),
        _stack(
            words.milliseconds(cost.p50_ms.value if cost.p50_ms else None),
            words.milliseconds(cost.p99_ms.value) if cost.p99_ms else "",
        ),
        _stack(words.size(cost.size_bytes), words.size(cost.peak_rss_bytes) if cost.peak_rss_bytes else ""),
        _stack(f"{cost.parameters / 1e6:.2f} M", f"{cost.macs / 1e6:,.0f} M"),
        verdict,
    )


def _stack(first: str, second: str) -> Text:
    return Text.assemble(first, *([("\n" + second, "dim")] if second else []))
