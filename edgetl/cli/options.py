"""Options shared by several commands, and reading a recipe file into a Job."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

FILE = click.Path(path_type=Path, dir_okay=True)


class FiniteRange(click.FloatRange):
    """A number in a range; click accepts `nan`, and `inf` if there is no upper end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"expected a finite number; found {value}", param, ctx)
        return number


def given(names: Sequence[str]) -> dict[str, str]:
    """The running command's options that were typed, without defaults: parameter -> `--option`."""
    context = click.get_current_context()
    typed = [name for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    return {param.name: param.opts[0] for param in context.command.params if param.name in typed}


json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
threads_option = click.option(
    "--threads", type=click.IntRange(1, 1024), default=1, show_default=True, help="Threads per inference."
)


def runs_option(what: str) -> Callable[..., Any]:
    """`--runs`; `what` begins its help: what is timed so often."""
    enough = "Fewer than 300 give a rough idea; 6000 give p99 an interval."
    return click.option("--runs", type=click.IntRange(1), default=300, show_default=True, help=f"{what} {enough}")


def warmup_option(what: str = "Untimed runs before.") -> Callable[..., Any]:
    """`--warmup`"""
    return click.option("--warmup", type=click.IntRange(1), help=f"{what}  [default: until times are steady]")


def duration_option(what: str, default: float | None = None) -> Callable[..., Any]:
    """`--duration`, as `duration_s`"""
    return click.option(
        "--duration",
        "duration_s",
        type=FiniteRange(0.01, 86_400),
        default=default,
        show_default=default is not None,
        metavar="SECONDS",
        help=what,
    )


time_limit_option = click.option(
    "--time-limit",
    "time_limit_s",
    type=FiniteRange(1, 86_400),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="Time limit of each fresh process in which a network runs before it is trusted.",
)
targets_dir_option = click.option(
    "--targets-dir", "targets_dirs", type=FILE, multiple=True, help="Folder with your own target files; repeatable."
)
calibration_dir_option = click.option(
    "--calibration-dir",
    "calibration_dirs",
    type=FILE,
    multiple=True,
    help="Folder with your own calibration profiles; repeatable.",
)
weights_dir_option = click.option(
    "--weights-dir",
    "weights_dirs",
    type=FILE,
    multiple=True,
    envvar="EDGETL_WEIGHTS_DIR",
    help="Folder of pretrained weights, searched before the hub; repeatable. Also EDGETL_WEIGHTS_DIR.",
)


@dataclass(frozen=True)
class RecipeOptions:
    """The values of the options in `recipe_options`."""

    recipe: Path
    overrides: tuple[str, ...]
    out: Path | None
    weights_dirs: tuple[Path, ...]
    targets_dirs: tuple[Path, ...]
    calibration_dirs: tuple[Path, ...]
    allow_leak: bool
    quiet: bool
    as_json: bool

    def job(self) -> Any:
        """Read the recipe, its targets and its calibration profile. Raises UsageError."""
        from edgetl.recipes.job import make_job
        from edgetl.recipes.recipe_file import load_recipe

        allowed = ("check.allow_leak=true",) if self.allow_leak else ()
        return make_job(
            load_recipe(self.recipe, (*self.overrides, *allowed)),
            self.recipe.resolve().parent,
            out=self.out,
            targets_dirs=self.targets_dirs,
            calibration_dirs=self.calibration_dirs,
            weights_dirs=self.weights_dirs,
        )


def recipe_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """RECIPE and its options; `function` gets them as one RecipeOptions, first."""

    @functools.wraps(function)
    def collect(**values: Any) -> Any:
        options = RecipeOptions(**{field.name: values.pop(field.name) for field in fields(RecipeOptions)})
        return function(options, **values)

    decorators = (
        click.argument("recipe", type=FILE),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="Override a key, for example data.shots=5; repeatable.",
        ),
        click.option("--out", type=FILE, help="Output folder.  [default: <name>-build beside the recipe]"),
        weights_dir_option,
        targets_dir_option,
        calibration_dir_option,
        click.option(
            "--allow-leak",
            is_flag=True,
            help="Continue although examples or groups are on both sides of the split; the report names them.",
        ),
        quiet_option,
        json_option,
    )
    command: Callable[..., Any] = collect
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def refuse_onnx(path: Path) -> None:
    """Raise UsageError for the user's own ONNX model: it cannot be imported."""
    from edgetl.errors import UsageError
    from edgetl.files.file_kind import ONNX_REFUSAL, describe

    if path.is_file() and describe(path).kind == "onnx":
        raise UsageError(f"{path}: {ONNX_REFUSAL}")


def progress_for(quiet: bool) -> Any:
    """Progress on stderr unless --quiet."""
    from edgetl.cli.progress import Terminal
    from edgetl.types import Silent

    return Silent() if quiet else Terminal()


def emit(value: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json_text(value))


def json_text(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
