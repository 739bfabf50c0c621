"""edgetl build"""

from __future__ import annotations

from typing import Any

import click

from edgetl.cli.chain import chain_command


def show_report(outcome: Any) -> None:
    """The table, where everything lies, and what missed its gate."""
    from edgetl.report.model import Report
    from edgetl.report.terminal import show_report as show_table

    if outcome.idle:
        click.echo("nothing to do: every stage was done before", err=True)
    show_table(Report.model_validate(outcome.report))
    click.echo(f"bundles: {outcome.out / 'bundles'}")
    click.echo(f"report:  {outcome.out / 'report.html'}")


command = chain_command(
    "build",
    "report",
    "Turn RECIPE into bundles: check, adapt, quantize, export, compile, bench, report.\n\n"
    "Finished stages are kept: a build that was stopped continues, the same build again does nothing. "
    "Exit code 3 when a gate is not met.",
    show_report,
)
