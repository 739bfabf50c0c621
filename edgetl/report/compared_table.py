"""Two bundles against each other as a terminal table and one sentence."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from edgetl.bench.compare import Comparison, Ratio
from edgetl.report import words
from edgetl.report.measured_table import table

_NAMES = {"p50_ms": "p50", "p90_ms": "p90", "p99_ms": "p99"}


def show_compared(found: Comparison, console: Console | None = None) -> None:
    """Print the table of both, then a line per quantile; to stdout by default."""
    out = console or Console(highlight=False)
    out.print(table(found.measurement))
    for ratio in found.ratios:
        out.print(Text(_line(ratio, found)), highlight=False)


def _line(ratio: Ratio, found: Comparison) -> str:
    first, second = found.measurement.names()
    span = f"{ratio.ratio.low:.3f} to {ratio.ratio.high:.3f}"
    end = {"the first is faster": f"{first} is faster", "the second is faster": f"{second} is faster"}
    repeats = words.count(len(ratio.repeats), "repeat")
    verdict = end.get(ratio.found, ratio.found)
    return f"{_NAMES[ratio.figure]}: {verdict}; second / first {ratio.ratio.value:.3f} ({span}), {repeats}"
