"""edgetl targets"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import calibration_dir_option, emit, json_option, targets_dir_option


@click.command("targets", cls=Command)
@click.argument("name", required=False)
@click.option("--calibration", is_flag=True, help="List the calibration profiles instead.")
@targets_dir_option
@calibration_dir_option
@json_option
def command(
    name: str | None,
    calibration: bool,
    targets_dirs: tuple[Path, ...],
    calibration_dirs: tuple[Path, ...],
    as_json: bool,
) -> None:
    """List the targets, or show one; with --calibration, or a folder of them, calibration profiles.

    A target describes a piece of hardware: its instruction set, its number scheme, and the builds to make for it.
    """
    from edgetl.recipes.targets import load_profile, load_target, profile_names, target_names

    if calibration or calibration_dirs:
        names = [name] if name else profile_names(calibration_dirs)
        values = [asdict(load_profile(each, calibration_dirs)) for each in names]
    else:
        names = [name] if name else target_names(targets_dirs)
        values = [asdict(load_target(each, targets_dirs)) for each in names]
    if as_json:
        emit(values[0] if name else values)
    elif name:
        import yaml

        click.echo(yaml.safe_dump(_plain(values[0]), sort_keys=False, allow_unicode=True), nl=False)
    else:
        width = max(len(each) for each in names)
        for value in values:
            click.echo(f"{value['name']:<{width}}  {value['summary']}")


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item not in ({}, "", ())}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
