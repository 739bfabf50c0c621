"""edgetl demo"""

from __future__ import annotations

from pathlib import Path

import click

from edgetl.cli.build import show_report
from edgetl.cli.chain import run_chain
from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, json_option, progress_for, quiet_option


@click.command("demo", cls=Command)
@click.option("--out", type=FILE, default=Path("edgetl-demo"), show_default=True, help="Working folder.")
@quiet_option
@json_option
def command(out: Path, quiet: bool, as_json: bool) -> int:
    """Adapt a network for printed characters to handwritten digits, for every target that compiles here.

    It trains on ten images per class. Nothing is downloaded: the backbone and the 1,797 scans come with the packages.
    """
    from edgetl.cli.demo_files import write_demo
    from edgetl.recipes.job import make_job
    from edgetl.recipes.recipe_file import load_recipe
    from edgetl.store.results import disk_errors

    with disk_errors(out):
        recipe = write_demo(out, progress_for(quiet))
    job = make_job(load_recipe(recipe), recipe.resolve().parent)
    return run_chain(job, "report", quiet=quiet, as_json=as_json, show=show_report)
