"""edgetl compile"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgetl.cli.chain import run_chain, show_folders
from edgetl.cli.command_help import Command
from edgetl.cli.on import DeviceOptions, device_options, read_bundles, say_errors
from edgetl.cli.options import RecipeOptions, emit, given, recipe_options, time_limit_option

if TYPE_CHECKING:
    from edgetl.bundle.manifest import Manifest

_OF_RECIPES = ("overrides", "weights_dirs", "calibration_dirs", "allow_leak")


@click.command("compile", cls=Command)
@recipe_options
@click.option("--target", "targets", multiple=True, help="With a pivot: target to compile for; repeatable.")
@click.option("--finish", is_flag=True, help="RECIPE is a bundle: finish it on this device, in place.")
@time_limit_option
@device_options
def command(
    options: RecipeOptions, targets: tuple[str, ...], finish: bool, time_limit_s: float, place: DeviceOptions
) -> int:
    """Compile RECIPE into bundles, or a pivot folder made by `edgetl export` (which needs no torch).

    \b
      edgetl compile recipe.yaml
      edgetl compile build/pivot --target intel-cpu --out bundles
      edgetl compile --finish bundles/steel-nvidia-gpu    # where the GPU is
      edgetl compile --finish bundles/steel-jetson-orin-nano --on jetson
    """
    if finish:
        others = (*_OF_RECIPES, "out", "targets_dirs", "targets")
        _refuse_given(options.recipe, others, "with a recipe or a pivot")
        if place.on:
            return _finish_on(place, options.recipe, time_limit_s, options.as_json)
        return _finish(options.recipe, time_limit_s, options.as_json)
    if place.on:
        raise click.UsageError("--on needs --finish: only the last step of a bundle runs on a device")
    if options.recipe.is_dir():
        _refuse_given(options.recipe, _OF_RECIPES, "with a recipe")
        return _compile_pivot(options, targets, time_limit_s)
    if targets:
        from edgetl.cli.options import refuse_onnx
        from edgetl.errors import UsageError

        refuse_onnx(options.recipe)
        raise UsageError("--target needs a pivot folder; a recipe names its own targets (--set targets=[...])")
    _refuse_given(options.recipe, ("time_limit_s",), "with a pivot folder or a bundle")
    return run_chain(options.job(), "compile", quiet=options.quiet, as_json=options.as_json, show=show_folders)


def _refuse_given(place: Path, names: Sequence[str], goes: str) -> None:
    for option in given(names).values():
        raise click.UsageError(f"{option} works only {goes}, and {place} is not one")


def _finish(bundle: Path, time_limit_s: float, as_json: bool) -> int:
    from edgetl.backends.fresh_process import Limits
    from edgetl.bundle.compile import finish_bundle
    from edgetl.bundle.inference import open_once
    from edgetl.store.results import disk_errors

    limits = Limits(time_limit_s, "--time-limit")
    with disk_errors(bundle):
        manifest = finish_bundle(bundle, check=lambda copy: open_once(copy, limits=limits))
    _say_finished(bundle, manifest, "this device", as_json)
    return 0


def _finish_on(place: DeviceOptions, path: Path, time_limit_s: float, as_json: bool) -> int:
    from edgetl.devices.jobs import finish
    from edgetl.devices.programs import Programs

    if len(place.on) > 1:
        raise click.UsageError("--finish takes one --on DEVICE: an engine fits only the device that made it")
    bundles, _, asked = read_bundles([path])
    if not asked:
        raise click.UsageError(f"--finish needs a single bundle, and {path} is a folder of bundles")
    (bundle,) = bundles
    devices = place.devices()
    how = place.how(devices, time_limit_s)
    (outcome,) = place.on_each(devices, lambda held: finish(Programs(held, how), bundle))
    if outcome.value:
        _say_finished(path, outcome.value, outcome.device.name, as_json)
    return say_errors([outcome])


def _say_finished(bundle: Path, manifest: Manifest, device: str, as_json: bool) -> None:
    if as_json:
        emit({"bundle": str(bundle), "model": manifest.compiled.model, "facts": dict(manifest.compiled.facts)})
    else:
        click.echo(f"{bundle}: finished for {device}: {manifest.compiled.model}")


def _compile_pivot(options: RecipeOptions, targets: tuple[str, ...], time_limit_s: float) -> int:
    from edgetl.backends.fresh_process import Limits
    from edgetl.bundle.compile import builds_left_out, compile_targets
    from edgetl.bundle.inference import open_once
    from edgetl.errors import UsageError

    if not targets:
        raise UsageError(f"{options.recipe}: a pivot needs --target NAME (`edgetl targets` lists them)")
    limits = Limits(time_limit_s, "--time-limit")
    out = options.out or Path("bundles")
    folders = compile_targets(
        options.recipe, targets, out, options.targets_dirs, check=lambda bundle: open_once(bundle, limits=limits)
    )
    left = builds_left_out(options.recipe, targets, options.targets_dirs)
    if options.as_json:
        emit({"bundles": [str(folder) for folder in folders], "left_out": left})
        return 0
    for folder in folders:
        click.echo(str(folder))
    for each in left:
        click.echo(f"edgetl: {each['target']}: no {each['precision']} build: {each['reason']}", err=True)
    return 0
