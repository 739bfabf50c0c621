"""Precision over recall at the overlap 0.5, one panel per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from edgetl.report import words
from edgetl.report.detection.model import ClassScores
from edgetl.report.plots import MUTED, SERIES, Picture, panels, svg_text
from edgetl.tasks.detection.average_precision import RECALLS
from edgetl.types import Precision

MOST_PANELS = 9
_LONGEST_NAME = 26


@dataclass(frozen=True)
class ClassCurves:
    """(101,) precision at the recalls 0, 0.01, ... 1 of one class, of the build and the float network."""

    scores: ClassScores
    build: NDArray[np.float64]
    floats: NDArray[np.float64]


def precision_recall(curves: Sequence[ClassCurves], precision: Precision, target: str) -> Picture | None:
    """The classes with the lowest AP50, at most nine, in their order; None if no class has objects."""
    known = [each for each in curves if each.scores.ap50 is not None]
    chosen = sorted(known, key=lambda each: each.scores.ap50 or 0.0)[:MOST_PANELS]
    shown = [each for each in known if each in chosen]
    if not shown:
        return None
    with panels(f"precision {target}", len(shown), (2.7, 2.5), least=4.2, legend=0.4, sharex=True) as (figure, grid):
        for panel, each in zip(grid.flat, shown, strict=False):
            _panel(panel, each, SERIES[precision])
        for panel in grid[:, 0]:
            panel.set_ylabel("precision, %")
        for panel in grid.flat[max(0, len(shown) - grid.shape[1]) : len(shown)]:
            panel.set_xlabel("recall, %")
            panel.tick_params(labelbottom=True)
        _legend(figure, precision, SERIES[precision])
        svg = svg_text(figure)
    return Picture(svg, f"Precision over recall of {target} {precision}. {'; '.join(map(_describe, shown))}.")


def _panel(panel: Axes, each: ClassCurves, color: str) -> None:
    panel.plot(100 * RECALLS, 100 * each.floats, color=MUTED, linewidth=1.2, linestyle=(0, (4, 2)))
    panel.plot(100 * RECALLS, 100 * each.build, color=color, linewidth=1.6)
    scores = each.scores
    if scores.reported:
        place = (100 * scores.hits / scores.objects, 100 * scores.hits / scores.reported)
        panel.plot(*place, "o", color=color, markersize=6)
    name = scores.label if len(scores.label) <= _LONGEST_NAME else scores.label[: _LONGEST_NAME - 1] + "…"
    panel.set_title(f"{name}, AP50 {words.percent(scores.ap50)} %", parse_math=False, fontsize=9.5)
    panel.set_xlim(0, 102)
    panel.set_ylim(0, 104)
    panel.grid(True)
    panel.set_axisbelow(True)


def _legend(figure: Figure, precision: str, color: str) -> None:
    """Dashes show the float network, so that color alone carries nothing."""
    lines = [
        Line2D([], [], color=color, linewidth=1.6, label=precision),
        Line2D([], [], color=MUTED, linewidth=1.2, linestyle=(0, (4, 2)), label="float network"),
        Line2D([], [], linestyle="", marker="o", color=color, label="working point"),
    ]
    figure.legend(handles=lines, loc="outside upper left", ncols=len(lines), handletextpad=0.4)


def _describe(each: ClassCurves) -> str:
    lost = each.scores.ap50_drop_points
    drop = "" if lost is None else f", drop {words.points(lost)} points"
    return f"{each.scores.label} AP50 {words.percent(each.scores.ap50)} %{drop}"
