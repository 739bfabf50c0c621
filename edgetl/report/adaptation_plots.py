"""Figures of the page's adaptation section: candidates against their time, and learning curves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from edgetl.adapt.record import Candidate
from edgetl.report import words
from edgetl.report.adaptation import KINDS, Curve, short_name
from edgetl.report.plots import LINE, MUTED, SERIES, STYLE, Picture, arms, log_axis, panels, svg_text

_MARKS = {"head": ("o", SERIES["float32"]), "finetune": ("s", SERIES["int8"])}
_TRAIN, _HELD_OUT = SERIES["float32"], SERIES["int8"]

_LABEL_GAP = 0.047  # of the axes' width, between slanted names
_BESIDE = 1.6  # factor on the time axis left of the fastest and right of the slowest
_LEAST_SECONDS = 1e-3

_LONGEST_NAME = 34  # characters; a setting may list many patterns

_MOST_PANELS = 9
_BLOWN_UP = 1.5  # times the largest loss after the first epoch; higher values are cut off


def accuracy_seconds(candidates: Sequence[Candidate]) -> Picture | None:
    """Held-out top-1 with intervals against the seconds of the evaluation; None if no candidate has both."""
    shown = [
        (candidate, max(candidate.seconds, _LEAST_SECONDS))
        for candidate in candidates
        if candidate.top1 is not None and candidate.seconds is not None
    ]
    shown.sort(key=lambda pair: pair[1])
    if not shown:
        return None
    left, right = shown[0][1] / _BESIDE, shown[-1][1] * _BESIDE
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": "edgetl candidates"}):
        figure = Figure(figsize=(7.4, 4.3), layout="constrained")
        panel = figure.subplots()
        log_axis(panel, left, right)
        panel.set_xlim(left, right)
        panel.set_xlabel("seconds to evaluate all its folds")
        across = [math.log(seconds / left) / math.log(right / left) for _, seconds in shown]
        for (candidate, seconds), place in zip(shown, _spread(across), strict=True):
            _point(panel, candidate, seconds)
            _name(panel, candidate, seconds, place)
        panel.set_ylabel("held-out top-1, %")
        panel.grid(True, axis="y")
        panel.set_axisbelow(True)
        _kinds_legend(figure, [candidate for candidate, _ in shown])
        svg = svg_text(figure)
    return Picture(svg, f"Held-out top-1 against time. {'; '.join(_describe(candidate) for candidate, _ in shown)}.")


def learning_curves(curves: Sequence[Curve]) -> Picture | None:
    """Training and held-out loss per epoch, one panel per curve, at most nine; None without curves."""
    shown = [curve for curve in curves if any(map(math.isfinite, curve.train + curve.held_out))][:_MOST_PANELS]
    if not shown:
        return None
    with panels("curves", len(shown), (2.8, 2.2), least=5.75) as (figure, grid):
        for panel, curve in zip(grid.flat, shown, strict=False):
            _curve_panel(panel, curve)
        for panel in grid[:, 0]:
            panel.set_ylabel("loss, nats")
        grid[0, 0].set_ylim(0, _ceiling(shown))
        _losses_legend(figure, shown)
        svg = svg_text(figure)
    left_out = len(curves) - len(shown)
    tail = f" {left_out} more in adapt.json." if left_out else ""
    return Picture(svg, f"Loss after each epoch. {'; '.join(_describe_curve(curve) for curve in shown)}.{tail}")


def _spread(wanted: Sequence[float]) -> list[float]:
    """Ascending positions in 0..1, as near to the wanted ones as possible without overlapping names."""
    places: list[float] = []
    for place in wanted:
        places.append(max(place, places[-1] + _LABEL_GAP) if places else place)
    limit = 1.0
    for index in range(len(places) - 1, -1, -1):
        places[index] = min(places[index], limit)
        limit = places[index] - _LABEL_GAP
    return places


def _point(panel: Axes, candidate: Candidate, seconds: float) -> None:
    marker, color = _MARKS[candidate.kind]
    assert candidate.top1 is not None
    drawn = panel.errorbar(
        seconds,
        100 * candidate.top1,
        yerr=_reach(candidate.top1, candidate.top1_low, candidate.top1_high),
        fmt=marker,
        color=color,
        markerfacecolor=color if candidate.chosen else "none",
        markersize=9 if candidate.chosen else 6,
        elinewidth=1,
        capsize=0,
    )
    if candidate.state != "judged":
        for arm in drawn.lines[2]:
            arm.set_linestyle((0, (2, 2)))


def _reach(top1: float, low: float | None, high: float | None) -> list[list[float]] | None:
    """Error bars of an interval, in percent; an end that rounding moved past the estimate is clipped to it."""
    return None if low is None or high is None else arms(top1, min(low, top1), max(high, top1), 100)


def _name(panel: Axes, candidate: Candidate, seconds: float, place: float) -> None:
    """Slanted above the axes with a line to its point: neighbors in time are often neighbors in accuracy."""
    top = candidate.top1 if candidate.top1_high is None else candidate.top1_high
    panel.annotate(
        _short(short_name(candidate.name)),
        (seconds, 100 * (top or 0.0)),
        xytext=(place, 1.04),
        textcoords="axes fraction",
        rotation=38,
        rotation_mode="anchor",
        fontweight="bold" if candidate.chosen else "normal",
        arrowprops={"arrowstyle": "-", "color": LINE, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 2},
        parse_math=False,
    )


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _kinds_legend(figure: Figure, shown: Sequence[Candidate]) -> None:
    """Shape and color both show the kind, and a filled mark the choice, so that color alone carries nothing."""
    marks = [
        Line2D([], [], linestyle="", marker=marker, color=color, markerfacecolor="none", label=KINDS[kind])
        for kind, (marker, color) in _MARKS.items()
        if any(candidate.kind == kind for candidate in shown)
    ]
    if any(candidate.chosen for candidate in shown):
        marks.append(Line2D([], [], linestyle="", marker="o", color=MUTED, label="filled: chosen"))
    if not all(candidate.state == "judged" for candidate in shown):
        marks.append(Line2D([], [], linestyle=(0, (2, 2)), linewidth=1, color=MUTED, label="dashed: not on all folds"))
    if marks:
        figure.legend(handles=marks, loc="outside lower left", ncols=len(marks), handletextpad=0.4)


def _describe(candidate: Candidate) -> str:
    interval = words.percent_range(candidate.top1_low, candidate.top1_high)
    time = "" if candidate.seconds is None else f" in {words.seconds(candidate.seconds)}"
    chosen = ", chosen" if candidate.chosen else ""
    top1 = f"{words.percent(candidate.top1)} %{f' ({interval})' if interval else ''}"
    return f"{short_name(candidate.name)} {top1}{time}{chosen}"


def _curve_panel(panel: Axes, curve: Curve) -> None:
    epochs = np.arange(1, len(curve.train) + 1)
    # a single epoch is a point, and a line would not show it
    mark = "o" if len(epochs) == 1 else ""
    panel.plot(epochs, curve.train, color=_TRAIN, linewidth=1.3, linestyle=(0, (4, 2)), marker=mark, markersize=4)
    panel.plot(epochs, curve.held_out, color=_HELD_OUT, linewidth=1.6, marker=mark, markersize=4)
    if curve.ended_after is not None:
        panel.axvline(curve.ended_after, color=MUTED, linewidth=1, linestyle=(0, (1, 2)))
    panel.set_title(_short(curve.name), parse_math=False, fontsize=9.5)
    panel.set_xlabel("epoch")
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panel.set_xlim(0.5, len(epochs) + 0.5)
    panel.grid(True, axis="y")
    panel.set_axisbelow(True)


def _losses_legend(figure: Figure, shown: Sequence[Curve]) -> None:
    lines = [Line2D([], [], color=_TRAIN, linewidth=1.3, linestyle=(0, (4, 2)), label="training")]
    if any(math.isfinite(loss) for curve in shown for loss in curve.held_out):
        lines.append(Line2D([], [], color=_HELD_OUT, linewidth=1.6, label="held out"))
    if any(curve.ended_after is not None for curve in shown):
        lines.append(Line2D([], [], color=MUTED, linewidth=1, linestyle=(0, (1, 2)), label="chosen number of epochs"))
    figure.legend(handles=lines, loc="outside upper left", ncols=len(lines))


def _ceiling(shown: Sequence[Curve]) -> float:
    """The top of the loss axis: a diverged training must not flatten the others."""
    lines = [
        [loss for loss in line if math.isfinite(loss)] for curve in shown for line in (curve.train, curve.held_out)
    ]
    largest, first = (max(pick(line) for line in lines if line) for pick in (max, lambda line: line[0]))
    return 1.08 * max(min(largest, _BLOWN_UP * first), 1e-3)


def _describe_curve(curve: Curve) -> str:
    judged = [(loss, epoch) for epoch, loss in enumerate(curve.held_out, 1) if math.isfinite(loss)]
    trained = [loss for loss in curve.train if math.isfinite(loss)]
    sentences = [f"training loss {trained[-1]:.3g} at the end"] if trained else []
    if judged:
        best, epoch = min(judged)
        sentences.append(f"held-out loss {best:.3g} at its smallest, after epoch {epoch} of {len(curve.held_out)}")
    return f"{curve.name}: {' and '.join(sentences)}"
