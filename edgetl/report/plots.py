"""Figures of the page as inline SVG, with colors from the page's style sheet and no external references."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from edgetl.report.model import Build, Bundle
from edgetl.types import Precision

_INK, MUTED, LINE = "#010203", "#040506", "#070809"
SERIES: dict[Precision, str] = {
    "int8": "#0a0b01",
    "mixed": "#0a0b04",
    "simplified": "#0a0b06",
    "float16": "#0a0b05",
    "bfloat16": "#0a0b02",
    "float32": "#0a0b03",
}
MARKERS: dict[Precision, str] = {
    "int8": "o",
    "mixed": "^",
    "simplified": "P",
    "float16": "v",
    "bfloat16": "D",
    "float32": "s",
}
# placeholder color -> variable of the style sheet, so that one figure suits light and dark pages
_VARIABLES = {
    _INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    **{color: f"var(--{precision})" for precision, color in SERIES.items()},
}
STYLE: Mapping[str, object] = {
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "font.size": 9.5,
    "text.color": _INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "axes.titlecolor": _INK,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}
_PANELS_PER_ROW = 3
_BINS = 64
_PIXELS_PER_INCH = 105


@dataclass(frozen=True)
class Picture:
    """An inline SVG and its text alternative."""

    svg: str
    text: str


@contextmanager
def panels(
    name: str,
    count: int,
    size: tuple[float, float],
    *,
    least: float,
    legend: float = 0.3,
    sharex: bool = False,
    sharey: bool = True,
) -> Iterator[tuple[Figure, Any]]:
    """A figure in the page's style with `count` panels, three in a row, and the grid (rows, columns) of them.

    name    of the figure, from which the identifiers in its SVG follow
    size    width and height of a panel, in inches, as are the width of the figure at least and the height of its legend
    """
    columns = min(count, _PANELS_PER_ROW)
    rows = math.ceil(count / columns)
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": f"edgetl {name}"}):
        figure = Figure(figsize=(max(size[0] * columns, least), size[1] * rows + legend), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
        for panel in grid.flat[count:]:
            panel.set_visible(False)
        yield figure, grid


def accuracy_latency(bundles: Sequence[Bundle], metric: str = "top-1") -> Picture | None:
    """The score against p50, one panel per measured target, all builds with their intervals; None without latency."""
    measured = [bundle for bundle in bundles if any(build.p50_ms is not None for build in bundle.builds)]
    if not measured:
        return None
    with panels("accuracy", len(measured), (3.0, 2.6), least=4.2) as (figure, grid):
        for panel, bundle in zip(grid.flat, measured, strict=False):
            _accuracy_panel(panel, bundle)
        for panel in grid[:, 0]:
            panel.set_ylabel(f"{metric}, %")
        _legend(figure, {build.precision for bundle in measured for build in bundle.builds})
        svg = svg_text(figure)
    sentence = "; ".join(_describe(bundle, build) for bundle in measured for build in bundle.builds if build.p50_ms)
    what = "Top-1 accuracy" if metric == "top-1" else metric
    return Picture(svg, f"{what} against median latency. {sentence}.")


def latency_histogram(
    target: str, times_ns: Mapping[Precision, NDArray[np.int64]], noun: str = "image"
) -> Picture | None:
    """Distribution of one target's timed runs, one curve per build; None when there are none."""
    series = {name: np.asarray(times / 1e6, dtype=np.float64) for name, times in times_ns.items() if times.size}
    if not series:
        return None
    # the axis begins at zero, so that a build of three times the speed looks that fast; it ends at three medians at
    # most, because the stalls of a busy machine would squeeze everything else to the left
    right = max(min(1.15 * float(np.quantile(times, 0.99)), 3 * _median(times)) for times in series.values())
    edges = np.linspace(0, right, _BINS + 1)
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": f"edgetl latency {target}"}):
        figure = Figure(figsize=(6.6, 2.1), layout="constrained")
        panel = figure.subplots()
        for name, times in sorted(series.items()):
            color = SERIES[name]
            shares = np.histogram(times, bins=edges)[0] / times.size
            panel.stairs(100 * shares, edges, fill=True, color=color, alpha=0.22, linewidth=0)
            panel.stairs(100 * shares, edges, color=color, linewidth=1.3, label=name)
            panel.axvline(_median(times), color=color, linewidth=1, linestyle=(0, (3, 2)))
        panel.set_xlabel(f"milliseconds per {noun} (dashed: median)")
        panel.set_ylabel("runs, %")
        panel.set_xlim(0, right)
        panel.set_ylim(bottom=0)
        panel.legend(loc="upper right", handlelength=1.2)
        svg = svg_text(figure)
    beyond = {name: int((times > right).sum()) for name, times in sorted(series.items())}
    outside = ", ".join(f"{count} of {name}" for name, count in beyond.items() if count)
    medians = ", ".join(f"{name} {_median(times):.3g} ms" for name, times in sorted(series.items()))
    tail = f" Runs slower than the axis shows: {outside}." if outside else ""
    return Picture(svg, f"Latency of {target}: medians {medians}.{tail}")


def _accuracy_panel(panel: Axes, bundle: Bundle) -> None:
    for build in bundle.builds:
        if build.p50_ms is None or build.score is None:
            continue
        color = SERIES[build.precision]
        ships = build.precision == bundle.precision
        panel.errorbar(
            build.p50_ms,
            100 * build.score,
            yerr=arms(build.score, build.score_low, build.score_high, 100),
            xerr=arms(build.p50_ms, build.p50_ms_low, build.p50_ms_high, 1),
            fmt=MARKERS[build.precision],
            color=color,
            markerfacecolor=color if ships else "none",
            markersize=7,
            elinewidth=1,
            capsize=0,
        )
    panel.set_title(bundle.target)
    panel.set_xlabel("p50, ms")
    panel.grid(True, axis="y")
    panel.set_axisbelow(True)
    panel.xaxis.set_major_locator(MaxNLocator(4))
    slowest = max(build.p50_ms or 0.0 for build in bundle.builds)
    panel.set_xlim(0, 1.25 * slowest)


def _legend(figure: Figure, precisions: set[Precision]) -> None:
    """Color and shape both show the precision, so that color alone carries nothing."""
    marks = [
        Line2D([], [], linestyle="", marker=MARKERS[name], color=SERIES[name], markerfacecolor="none", label=name)
        for name in SERIES
        if name in precisions
    ]
    ships = Line2D([], [], linestyle="", marker="o", color=MUTED, label="filled: ships")
    figure.legend(handles=[*marks, ships], loc="outside upper left", ncols=len(marks) + 1, handletextpad=0.2)


def _median(times: NDArray[np.float64]) -> float:
    return float(np.quantile(times, 0.5, method="inverted_cdf"))


def arms(value: float, low: float | None, high: float | None, scale: float) -> list[list[float]] | None:
    if low is None or high is None:
        return None
    return [[scale * (value - low)], [scale * (high - value)]]


def log_axis(panel: Axes, low: float, high: float) -> None:
    """A logarithmic x axis for values from `low` to `high`, with plain numbers at 1, 2, 5, or at powers of ten if those
    would be too many."""
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0,) if math.log10(high / low) > 2.5 else (1.0, 2.0, 5.0)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())


def _describe(bundle: Bundle, build: Build) -> str:
    score = 0.0 if build.score is None else 100 * build.score
    return f"{bundle.target} {build.precision}: {score:.1f} % at {build.p50_ms:.3g} ms"


def svg_text(figure: Figure) -> str:
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", text)  # inside HTML the names need no declaration
    text = re.sub(r'(<svg\b[^>]*?)\s+width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg\b[^>]*?)\s+height="[^"]*"', r"\1", text, count=1)
    pointed_at = set(re.findall(r"#([\w-]+)", text))
    text = re.sub(r'\s+id="([^"]*)"', lambda found: found[0] if found[1] in pointed_at else "", text)
    width = round(figure.get_figwidth() * _PIXELS_PER_INCH)
    opening = f'<svg aria-hidden="true" style="max-width: {width}px"'
    text = text.replace("xlink:href", "href").replace("<svg", opening, 1)
    for color, variable in _VARIABLES.items():
        text = text.replace(color, variable)
    return text.strip()
