"""edgetl report"""

from __future__ import annotations

from pathlib import Path

import click

from edgetl.cli.build import run_to_report
from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, RecipeOptions, recipe_options
from edgetl.cli.result_files import csv_option, junit_option


@click.command("report", cls=Command)
@recipe_options
@click.option(
    "--device",
    "devices",
    type=FILE,
    multiple=True,
    help="Add the output of `edgetl-bench --json` or `edgetl bench BUNDLE --json` from a device; repeatable.",
)
@csv_option
@junit_option
def command(options: RecipeOptions, devices: tuple[Path, ...], csv_file: Path | None, junit_file: Path | None) -> int:
    """Evaluate the gates of RECIPE, choose the builds that ship, write report.html and report.json.

    \b
      edgetl report recipe.yaml
      edgetl report recipe.yaml --csv builds.csv --junit gates.xml
      edgetl report recipe.yaml --device pi5.json --device jetson.json
    """
    from edgetl.report.devices import read_devices

    return run_to_report(options, csv_file, junit_file, read_devices(devices))
