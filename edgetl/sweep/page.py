"""A sweep as one self-contained page, in the style of the report."""

from __future__ import annotations

from pathlib import Path

import jinja2
import yaml

from edgetl import __version__, report
from edgetl.report import words
from edgetl.sweep.figure import pareto
from edgetl.sweep.run import Outcome
from edgetl.sweep.table import plain, short_names, summary

TEMPLATE = "sweep.html.j2"


def render_page(outcome: Outcome) -> str:
    """The page as text; links lead to the trials' own reports, relative to the output folder."""
    folders = [Path(__file__).resolve().parent, *map(Path, report.__path__)]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    best = {row.number for row in outcome.front}
    others = [row for row in outcome.rows if row.number not in best]
    keys = [axis.key for axis in outcome.request.space.axes]
    return environment.get_template(TEMPLATE).render(
        outcome=outcome,
        request=outcome.request,
        rows=[*outcome.front, *sorted(others, key=lambda row: (row.p50_ms is None, row.p50_ms or 0, row.number))],
        best=best,
        keys=keys,
        names=short_names(keys),
        picture=pareto(outcome),
        summary=words.capital(summary(outcome)),
        space=yaml.safe_dump(outcome.request.space.to_json(), sort_keys=False, allow_unicode=True),
        score_name=words.capital(outcome.metric),
        words=words,
        plain=plain,
        version=__version__,
    )
