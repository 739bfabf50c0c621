"""edgetl build"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgetl.cli.chain import chain_command
from edgetl.cli.next_step import near, say_next

if TYPE_CHECKING:
    from edgetl.report.model import Bundle, Report

_LOSSES = ("max_drop_points", "max_recall_drop_points")
"""Gates that INT8 itself can miss, where the float network meets the others."""


def show_report(outcome: Any) -> None:
    """The table, where everything lies, and what missed its gate."""
    from edgetl.report.model import Report
    from edgetl.report.summary import summarize
    from edgetl.report.terminal import show_report as show_table

    if outcome.idle:
        click.echo("nothing to do: every stage was done before", err=True)
    report = Report.model_validate(outcome.report)
    show_table(report)
    click.echo(f"bundles: {outcome.out / 'bundles'}")
    click.echo(f"report:  {outcome.out / 'report.html'}")
    _say_next(outcome.out, report, summarize(report.bundles).fastest)


def _say_next(out: Path, report: Report, fastest: Bundle | None) -> None:
    """How to use the bundle to take; or why INT8 loses, where that is what missed a gate."""
    recipe = click.get_current_context().params.get("recipe")
    gates = [gate for bundle in report.bundles for build in bundle.builds for gate in build.gates]
    if report.verdict != "fail" and fastest and fastest.path:
        say_next("predict", near(out / fastest.path), "IMAGES")
    elif recipe and any(gate.verdict == "fail" and gate.gate in _LOSSES for gate in gates):
        say_next("blame", recipe)


command = chain_command(
    "build",
    "report",
    "Turn RECIPE into bundles: check, adapt, quantize, export, compile, bench, report.\n\n"
    "Finished stages are kept: a build that was stopped continues, the same build again does nothing. "
    "Exit code 3 when a gate is not met.",
    show_report,
)
