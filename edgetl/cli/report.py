"""edgetl report"""

from __future__ import annotations

from pathlib import Path

import click

from edgetl.cli.build import show_report
from edgetl.cli.chain import run_chain
from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, RecipeOptions, recipe_options


@click.command("report", cls=Command)
@recipe_options
@click.option(
    "--device",
    "devices",
    type=FILE,
    multiple=True,
    help="Add what `edgetl-bench --json` or `edgetl bench BUNDLE --json` wrote on a device; may repeat.",
)
def command(options: RecipeOptions, devices: tuple[Path, ...]) -> int:
    """Judge the gates of RECIPE, choose what ships, write report.html and report.json.

    \b
      edgetl report recipe.yaml
      edgetl report recipe.yaml --device pi5.json --device jetson.json
    """
    from edgetl.report.devices import read_devices

    return run_chain(
        options.job(),
        "report",
        quiet=options.quiet,
        as_json=options.as_json,
        show=show_report,
        devices=read_devices(devices),
    )
