"""The command to run next, on stderr; silent with --quiet and --json."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
from click.core import ParameterSource

_AFTER = {
    "check": "build",
    "select": "build",
    "adapt": "quantize",
    "quantize": "export",
    "export": "compile",
    "compile": "bench",
    "bench": "report",
}
_REPEATED = ("overrides", "out", "targets_dirs", "calibration_dirs", "allow_leak")
"""Options that the next command also needs."""


def say_next(*words: str | Path) -> None:
    """`next: edgetl predict bundles/parts-x86-cpu FILES`; words are quoted for the shell."""
    params = click.get_current_context().params
    if not params.get("quiet") and not params.get("as_json"):
        click.echo("next: " + shlex.join(["edgetl", *map(str, words)]), err=True)


def near(path: Path) -> str:
    """The shortest path to type: relative to the current folder if it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def say_following(context: click.Context) -> None:
    """The command that follows this one; for a recipe, with the options that were typed."""
    recipe = context.params.get("place") or context.params.get("recipe")
    if context.info_name == "verify":
        _say_use(context.params["bundle"])
    following = _AFTER.get(context.info_name or "")
    if following and recipe is not None and not recipe.is_dir():
        say_next(following, recipe, *_typed(context))


def _say_use(bundle: Path) -> None:
    from edgetl.language.bundle import is_language

    if is_language(bundle):
        say_next("generate", bundle, "--prompt", "TEXT")
    else:
        say_next("predict", bundle, "FILES")


def _typed(context: click.Context) -> list[str]:
    words: list[str] = []
    for param in context.command.params:
        if param.name not in _REPEATED or context.get_parameter_source(param.name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[param.name]
        if value is True:
            words.append(param.opts[0])
        else:
            values = value if isinstance(value, tuple) else (value,)
            words += [word for each in values for word in (param.opts[0], str(each))]
    return words
