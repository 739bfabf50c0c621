"""The command that builds a recipe with data and weights in other folders."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from result_file import REPOSITORY

from edgetl.recipes.recipe_file import load_recipe

EXAMPLES = REPOSITORY / "examples"
_DATA_PREFIX = "data/"


@dataclass(frozen=True)
class ExampleBuild:
    """A recipe, the folder it is built into, and the whole command."""

    recipe: Path
    out: Path
    command: tuple[str, ...]


def add_build_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `example_builds` reads."""
    parser.add_argument(
        "--recipe", type=Path, action="append", help="recipe file; may repeat (default: examples/*.yaml)"
    )
    parser.add_argument("--data", type=Path, help="folder that takes the place of `data/` in the recipes")
    parser.add_argument("--weights-dir", type=Path, help="folder of pretrained weights")
    parser.add_argument("--work", type=Path, help="folder for the outputs; finished stages in it are kept")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")


def parser_on_sets(description: str | None) -> argparse.ArgumentParser:
    """A parser with the folders that a benchmark on image sets needs; `work` may be emptied."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of the sets, each with {train,val}/<class>/")
    add("--weights-dir", type=Path, required=True, help="folder of pretrained weights")
    add("--work", type=Path, required=True, help="folder that is emptied and worked in")
    return parser


def example_builds(arguments: argparse.Namespace) -> tuple[ExampleBuild, ...]:
    """One build per recipe. Raises EdgetlError for a recipe that cannot be read."""
    recipes: Sequence[Path] = arguments.recipe or sorted(EXAMPLES.glob("*.yaml"))
    return tuple(_build(recipe, arguments) for recipe in recipes)


def edgetl_program() -> str:
    """The console script beside the running Python."""
    return str(Path(sys.executable).with_name("edgetl"))


def _build(path: Path, arguments: argparse.Namespace) -> ExampleBuild:
    recipe = load_recipe(path)
    out = (arguments.work / recipe.name).resolve()
    command = [edgetl_program(), "build", str(path), "--out", str(out)]
    if arguments.weights_dir:
        command += ["--weights-dir", str(arguments.weights_dir.resolve())]
    folders = {"data.train": recipe.data.train, "data.val": recipe.data.val}
    for key, folder in folders.items():
        if arguments.data and folder and folder.startswith(_DATA_PREFIX):
            command += ["--set", f"{key}={arguments.data.resolve() / folder.removeprefix(_DATA_PREFIX)}"]
    for override in arguments.overrides:
        command += ["--set", override]
    return ExampleBuild(path, out, tuple(command))
