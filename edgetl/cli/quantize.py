"""edgetl quantize"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from edgetl.cli.chain import run_chain, show_folders
from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, RecipeOptions, recipe_options


@click.command(
    "quantize",
    cls=Command,
    help="Quantize for each target of RECIPE: calibration, or quantization-aware training (QAT).",
)
@recipe_options
@click.option("--ranges", type=FILE, help="Use the ranges of an earlier run instead of calibrating.")
def command(options: RecipeOptions, ranges: Path | None) -> int:
    if ranges is not None:
        if not ranges.is_file():
            raise click.UsageError(f"--ranges {ranges}: no such file")
        # relative to the working folder; in a recipe it is relative to the recipe
        override = f"quantize.ranges={json.dumps(str(ranges.resolve()))}"
        options = replace(options, overrides=(*options.overrides, override))
    return run_chain(options.job(), "quantize", quiet=options.quiet, as_json=options.as_json, show=show_folders)
