"""edgetl import"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from edgetl.cli.build import run_to_report
from edgetl.cli.command_help import Command
from edgetl.cli.options import (
    FILE,
    RecipeOptions,
    calibration_dir_option,
    json_option,
    quiet_option,
    targets_dir_option,
)
from edgetl.cli.result_files import csv_option, junit_option

_OURS = "# written by edgetl import\n"


def _number(name: str, help_text: str) -> Callable[[Any], Any]:
    decorated: Callable[[Any], Any] = click.option(name, multiple=True, type=float, metavar="NUMBER", help=help_text)
    return decorated


@click.command("import", cls=Command)
@click.argument("model", type=FILE)
@click.option("--data", type=FILE, required=True, help="Images: one sub-folder per class, or a CSV list.")
@click.option("--val", type=FILE, help="Images for validation.  [default: the rest of --data]")
@click.option("--target", "targets", multiple=True, required=True, help="Target to build for; repeatable.")
@click.option("--classes", type=FILE, help="Class names in the order of the scores, one a line.")
@click.option("--output", metavar="NAME", help="Output with the class scores, if the file has several.")
@click.option("--layout", type=click.Choice(["auto", "nchw", "nhwc"]), help="Order of the input's sizes.")
@click.option(
    "--normalize",
    type=click.Choice(["auto", "imagenet", "tf", "unit", "bytes", "caffe"]),
    help="How bytes become the input.",
)
@_number("--mean", "Mean after --scale, once or for each channel.")
@_number("--std", "Deviation after --scale, once or for each channel.")
@click.option("--scale", type=float, help="Bytes are divided by it first.")
@click.option("--color", type=click.Choice(["auto", "rgb", "bgr"]), help="Order of the network's channels.")
@click.option("--size", "input_size", help="Pixels of the input, as 224 or 96x384, if the file leaves it open.")
@click.option("--resize", type=click.Choice(["auto", "squash", "crop", "letterbox"]), help="How images are fitted.")
@click.option("--crop-pct", type=float, help="Part of the resized image that --resize crop keeps.")
@click.option("--interpolation", type=click.Choice(["bilinear", "bicubic"]), help="Filter for resizing.")
@click.option("--shots", help="Calibration images per class, or all.  [default: 10]")
@click.option("--name", help="Name of the bundles.  [default: the file's name]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set a key of the recipe; repeatable.")
@click.option("--out", type=FILE, help="Output folder.  [default: <name>-build]")
@targets_dir_option
@calibration_dir_option
@csv_option
@junit_option
@quiet_option
@json_option
def command(model: Path, csv_file: Path | None, junit_file: Path | None, **given: Any) -> int:
    """Turn MODEL, a trained float ONNX classifier of images, into bundles for each target.

    It is checked, simplified and quantized by calibration on --data, and every form of it is proven against the file.
    Nothing is trained, and torch is not needed. The settings are written to <out>.yaml, a recipe for `edgetl build`
    and `edgetl blame`. Exit code 3 if a gate is missed.

    \b
      edgetl import resnet.onnx --data photos --target x86-cpu
      edgetl import keras.onnx --data photos --normalize tf --target intel-cpu
    """
    from edgetl.errors import UsageError
    from edgetl.files.durable import write_text
    from edgetl.recipes.recipe_file import apply_override, parse_recipe
    from edgetl.store.results import disk_errors

    if not model.is_file():
        raise UsageError(f"{model}: no such file; name a trained ONNX classifier")
    name = given["name"] or _plain(model.stem)
    out: Path = given["out"] or Path(f"{name}-build")
    recipe = out.parent / f"{out.name}.yaml"
    values = _recipe(name, model, recipe.parent, given) | {"out": out.name}
    for override in given["overrides"]:
        apply_override(values, override)
    parse_recipe(values, where="edgetl import", overrides=given["overrides"])  # before anything is written
    if recipe.exists() and not (recipe.is_file() and recipe.read_bytes().startswith(_OURS.encode())):
        raise UsageError(f"{recipe}: already exists; choose another folder with --out")
    with disk_errors(recipe):
        recipe.parent.mkdir(parents=True, exist_ok=True)
        write_text(recipe, _yaml(values))
    options = RecipeOptions(
        recipe=recipe,
        overrides=(),
        out=out,
        weights_dirs=(),
        targets_dirs=given["targets_dirs"],
        calibration_dirs=given["calibration_dirs"],
        allow_leak=False,
        quiet=given["quiet"],
        as_json=given["as_json"],
    )
    return run_to_report(options, csv_file, junit_file)


def _recipe(name: str, model: Path, base: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The content of the recipe: only what was given. Paths are relative to it."""
    network: dict[str, Any] = {"file": _from(base, model), "classes": _from(base, given["classes"])}
    network |= {
        key: given[key] for key in ("output", "layout", "normalize", "scale", "color", "input_size", "crop_pct")
    }
    network |= {"interpolation": given["interpolation"]}
    network |= {key: list(given[key]) for key in ("mean", "std") if given[key]}
    shots = given["shots"]
    data = {
        "train": _from(base, given["data"]),
        "val": _from(base, given["val"]),
        "shots": int(shots) if shots and shots.isdecimal() else shots,
        "resize": given["resize"],
    }
    sections = {"data": _set(data), "network": _set(network)}
    return {"name": name, **sections, "targets": list(given["targets"])}


def _set(section: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if value is not None}


def _from(base: Path, path: Path | None) -> str | None:
    return None if path is None else os.path.relpath(path.resolve(), base.resolve())


def _plain(stem: str) -> str:
    """The file's name as the name of a bundle."""
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_.-") else "-" for letter in stem)
    return kept.lstrip("_.-")[:64] or "network"


def _yaml(values: dict[str, Any]) -> str:
    import yaml

    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return _OURS + text
