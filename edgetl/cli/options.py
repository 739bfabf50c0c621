"""Options that several commands share, and the way from a recipe file to a Job."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(path_type=Path, dir_okay=True)

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
threads_option = click.option(
    "--threads", type=click.IntRange(1, 1024), default=1, show_default=True, help="Threads inside one inference."
)
targets_dir_option = click.option(
    "--targets-dir", "targets_dirs", type=FILE, multiple=True, help="Folder of target files of your own; may repeat."
)


def recipe_options(function: F) -> F:
    """RECIPE and what changes how it is read."""
    decorators = (
        click.argument("recipe", type=FILE),
        click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key: data.shots=5."),
        click.option("--out", type=FILE, help="Output folder.  [default: <name>-build beside the recipe]"),
        click.option(
            "--weights-dir",
            "weights_dirs",
            type=FILE,
            multiple=True,
            envvar="EDGETL_WEIGHTS_DIR",
            help="Folder of pretrained weights, looked up before the hub; may repeat. Also EDGETL_WEIGHTS_DIR.",
        ),
        targets_dir_option,
        click.option(
            "--calibration-dir",
            "calibration_dirs",
            type=FILE,
            multiple=True,
            help="Folder of calibration profiles of your own; may repeat.",
        ),
        quiet_option,
        json_option,
    )
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def job_from(
    recipe: Path,
    overrides: Sequence[str],
    out: Path | None,
    weights_dirs: Sequence[Path],
    targets_dirs: Sequence[Path],
    calibration_dirs: Sequence[Path],
) -> Any:
    """Read a recipe and look up what it names. Raises UsageError."""
    from edgetl.recipe import load_recipe
    from edgetl.stages import make_job

    return make_job(
        load_recipe(recipe, overrides),
        recipe.resolve().parent,
        out=out,
        targets_dirs=tuple(targets_dirs),
        calibration_dirs=tuple(calibration_dirs),
        weights_dirs=tuple(weights_dirs),
    )


def progress_for(quiet: bool) -> Any:
    """Progress on stderr unless --quiet."""
    from edgetl.progress import Silent, Terminal

    return Silent() if quiet else Terminal()


def emit(value: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))
