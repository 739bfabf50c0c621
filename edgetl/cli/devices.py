"""edgetl devices"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgetl.cli.command_help import Command
from edgetl.cli.on import DeviceOptions, emit_outcomes, look_options, say_errors
from edgetl.cli.options import json_option

if TYPE_CHECKING:
    from edgetl.devices.probe import Probed


@click.command("devices", cls=Command)
@click.argument("names", metavar="[DEVICE]...", nargs=-1)
@look_options
@json_option
def command(names: tuple[str, ...], devices_file: Path | None, ssh_config: Path | None, as_json: bool) -> int:
    """Show what is on devices that are reached over ssh: processor, governor, memory, engines.

    DEVICE is a name of devices.yaml or a host; without one, all of devices.yaml. Exit code 1 if one cannot be used.
    """
    from edgetl.devices.probe import probe
    from edgetl.devices.programs import Programs
    from edgetl.errors import UsageError

    place = DeviceOptions(names, devices_file, ssh_config, keep=False)
    found = place.devices()
    if not found.devices:
        raise UsageError("no devices: name one, or list them in devices.yaml (docs/guide/devices.md)")
    how = place.how(found, 60.0)
    outcomes = place.on_each(found, lambda held: probe(Programs(held, how)))
    if as_json:
        emit_outcomes(outcomes, asdict)
    else:
        for outcome in outcomes:
            if outcome.value:
                click.echo(f"{outcome.device.name}: {_sentence(outcome.value)}")
                for line in outcome.value.missing:
                    click.echo(f"  not usable: {line}")
    return max(say_errors(outcomes), *(bool(each.value and each.value.missing) for each in outcomes))


def _sentence(found: Probed) -> str:
    machine = found.machine
    parts = [machine.cpu or "unknown CPU", machine.architecture]
    parts += [f"{machine.logical_cores} cores"] if machine.logical_cores else []
    parts += [f"governor {machine.governor}"] if machine.governor else []
    parts += [f"{machine.memory_bytes / 1e9:.1f} GB"] if machine.memory_bytes else []
    parts += [machine.system, f"engines: {', '.join(found.engines) or 'none'}"]
    return "; ".join(parts)
