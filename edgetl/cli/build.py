"""edgetl build"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgetl.cli.chain import run_chain
from edgetl.cli.command_help import Command
from edgetl.cli.next_step import near, say_next
from edgetl.cli.options import RecipeOptions, recipe_options
from edgetl.cli.result_files import csv_option, junit_option, refuse_unwritable, write_files

if TYPE_CHECKING:
    from edgetl.report.devices import DeviceFile
    from edgetl.report.model import Bundle, Report

_LOSSES = ("max_drop_points", "max_recall_drop_points")
"""Gates that INT8 can miss although the float network meets them."""


def show_report(outcome: Any) -> None:
    """The table, the output paths, and the missed gates."""
    from edgetl.report.summary import summarize
    from edgetl.report.terminal import show_report as show_table

    if outcome.idle:
        click.echo("nothing to do: every stage was already done", err=True)
    report: Report = outcome.report
    show_table(report)
    click.echo(f"bundles: {outcome.out / 'bundles'}")
    click.echo(f"report:  {outcome.out / 'report.html'}")
    summary = summarize(report.bundles)
    # if no target was timed on its own CPU, take one that runs here anyway
    runs_here = next((each for each in summary.bundles if each.measured and each.verdict == "pass"), None)
    _say_next(outcome.out, report, summary.fastest or runs_here)


def _say_next(out: Path, report: Report, usable: Bundle | None) -> None:
    """How to use a bundle that passes, or how to find out why INT8 missed a gate."""
    recipe = click.get_current_context().params.get("recipe")
    gates = [gate for bundle in report.bundles for build in bundle.builds for gate in build.gates]
    if report.verdict != "fail" and usable and usable.path:
        say_next("predict", near(out / usable.path), "FILES")
    elif recipe and any(gate.verdict == "fail" and gate.gate in _LOSSES for gate in gates):
        say_next("blame", recipe)


def run_to_report(
    options: RecipeOptions, csv_file: Path | None, junit_file: Path | None, devices: Sequence[DeviceFile] = ()
) -> int:
    """Run the whole chain, with measurements of devices in its report, and write the files for a CI server."""
    refuse_unwritable(csv_file, junit_file)
    return run_chain(
        options.job(),
        "report",
        quiet=options.quiet,
        as_json=options.as_json,
        show=show_report,
        devices=devices,
        write=lambda outcome: _write_report_files(outcome, csv_file, junit_file),
    )


def _write_report_files(outcome: Any, csv_file: Path | None, junit_file: Path | None) -> None:
    from edgetl.bench.ci_files import csv_text, junit_text
    from edgetl.report import ci

    report: Report = outcome.report
    texts: dict[Path, str] = {}
    if csv_file is not None:
        texts[csv_file] = csv_text(ci.rows(report))
    if junit_file is not None:
        texts[junit_file] = junit_text(f"edgetl.{report.name}", ci.cases(report))
    write_files(texts)


@click.command("build", cls=Command)
@recipe_options
@csv_option
@junit_option
def command(options: RecipeOptions, csv_file: Path | None, junit_file: Path | None) -> int:
    """Turn RECIPE into bundles: check, adapt, quantize, export, compile, bench, report.

    Finished stages are kept: a stopped build resumes, and repeating a finished build does nothing. Exit code 3 if a
    gate is missed.
    """
    return run_to_report(options, csv_file, junit_file)
