"""blame-<target>.html: the sentence, a bar chart of the error by layer and all numbers, in the style of the report."""

from __future__ import annotations

from pathlib import Path

import jinja2
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from edgetl import __version__
from edgetl.diagnose.blame.result import Blame
from edgetl.diagnose.blame.table import decibels
from edgetl.diagnose.blame.verdict import change, error_name, error_unit, percent
from edgetl.files.durable import write_text
from edgetl.report import html as report_page
from edgetl.report import words
from edgetl.report.plots import LINE, SERIES, STYLE, Picture, svg_text
from edgetl.tasks.base import TaskName

TEMPLATE = "blame.html.j2"
_BAR_INCHES = 0.19
_ERROR_AXIS: dict[TaskName, str] = {
    "classification": "logits error, % of the logits' range",
    "detection": "output error, % of the scores' range and of the boxes' sides",
}


def write_page(found: Blame, path: Path) -> None:
    """Write the page atomically: a reader sees the old one or the complete new one."""
    write_text(path, render(found))


def render(found: Blame) -> str:
    """The page as text; the same inputs give the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).resolve().parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    tools = {"words": words, "percent": percent, "change": change, "decibels": decibels}
    tools |= {"error_name": error_name(found.task), "error_unit": error_unit(found.task)}
    return environment.get_template(TEMPLATE).render(
        found=found, chart=error_chart(found), style=_style(), version=__version__, **tools
    )


def error_chart(found: Blame) -> Picture:
    """One pair of bars per layer, in the ranking's order: error removed in float, and error caused alone in INT8."""
    names = [layer.name for layer in found.layers]
    places = np.arange(len(names))
    regained = [100 * layer.regained for layer in found.layers]
    lost = [100 * layer.lost for layer in found.layers]
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": f"edgetl blame {found.target}"}):
        figure = Figure(figsize=(7.4, _BAR_INCHES * len(names) * 1.4 + 1.1), layout="constrained")
        panel = figure.subplots()
        panel.barh(places - 0.2, regained, height=0.38, color=SERIES["int8"], label="removed with only it in float")
        panel.barh(places + 0.2, lost, height=0.38, color=SERIES["float32"], label="caused with only it in INT8")
        panel.set_yticks(places, names, parse_math=False)
        panel.set_ylim(len(names) - 0.4, -0.6)
        panel.axvline(0, color=LINE, linewidth=0.8)
        panel.set_xlabel(_ERROR_AXIS[found.task])
        panel.grid(True, axis="x")
        panel.set_axisbelow(True)
        figure.legend(loc="outside upper left", ncols=2)
        svg = svg_text(figure)
    sentence = "; ".join(
        f"{layer.name} {percent(layer.regained)} % removed, {percent(layer.lost)} % alone" for layer in found.layers
    )
    return Picture(svg, f"{error_name(found.task).capitalize()} by layer. {sentence}.")


def _style() -> str:
    """The report's style sheet, so that both pages look the same. It is our own text and needs no escaping."""
    text = (Path(report_page.__file__).resolve().parent / report_page.TEMPLATE).read_text(encoding="utf-8")
    start = text.index("<style>") + len("<style>")
    return text[start : text.index("</style>", start)].strip()
