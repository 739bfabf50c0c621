"""Options and steps of commands that run on devices: `--on`."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgetl.cli.options import FILE, emit, given

if TYPE_CHECKING:
    from edgetl.bench.measurement import LeftOut, Measurement
    from edgetl.bundle.read import Bundle
    from edgetl.devices.config import Devices
    from edgetl.devices.connection import Held
    from edgetl.devices.jobs import Timed
    from edgetl.devices.programs import How
    from edgetl.devices.side_by_side import Outcome
    from edgetl.types import Progress

    T = TypeVar("T")

_LIMIT_S = 1800.0
"""Of a whole run on a device, unless --time-limit is given."""


@dataclass(frozen=True)
class DeviceOptions:
    """The values of the options in `device_options`."""

    on: tuple[str, ...]
    devices_file: Path | None
    ssh_config: Path | None
    keep: bool

    def devices(self, targets_dirs: Sequence[Path] = ()) -> Devices:
        """Raises UsageError."""
        from edgetl.devices.config import devices_of

        return devices_of(self.on, self.devices_file, targets_dirs)

    def how(self, devices: Devices, time_limit_s: float, threads: int = 1) -> How:
        from edgetl.devices.programs import How

        limit_s = time_limit_s if given(("time_limit_s",)) else _LIMIT_S
        return How(devices.apps, limit_s, threads, self.keep)

    def on_each(self, devices: Devices, work: Callable[[Held], T]) -> list[Outcome[T]]:
        """Do `work` on every device; raises UsageError for a configuration of ssh that is missing."""
        from edgetl.devices.connection import Ssh
        from edgetl.devices.side_by_side import on_each
        from edgetl.errors import UsageError

        if self.ssh_config and not self.ssh_config.is_file():
            raise UsageError(f"--ssh-config {self.ssh_config}: no such file")
        return on_each(devices.devices, Ssh(self.ssh_config), work)


_SSH_CONFIG = click.option(
    "--ssh-config",
    type=FILE,
    envvar="EDGETL_SSH_CONFIG",
    metavar="FILE",
    help="Configuration of ssh instead of your own. Also EDGETL_SSH_CONFIG.",
)
_DEVICES_FILE = click.option(
    "--devices", "devices_file", type=FILE, metavar="FILE", help="Devices by name.  [default: devices.yaml, if present]"
)
_ON = click.option(
    "--on",
    multiple=True,
    metavar="DEVICE",
    help="Run there, over ssh: a name of devices.yaml or a host; repeatable, side by side.",
)
_KEEP = click.option("--keep", is_flag=True, help="With --on: leave programs and bundles there for the next run.")


def device_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--on and its options; `function` gets them as the keyword `place`."""

    @functools.wraps(function)
    def collect(*arguments: Any, **values: Any) -> Any:
        chosen = DeviceOptions(**{each.name: values.pop(each.name) for each in fields(DeviceOptions)})
        if not chosen.on:
            _refuse_without_on()
        return function(*arguments, place=chosen, **values)

    command: Callable[..., Any] = collect
    for decorator in (_SSH_CONFIG, _KEEP, _DEVICES_FILE, _ON):
        command = decorator(command)
    return command


def look_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options for a command that only looks at devices."""
    return _DEVICES_FILE(_SSH_CONFIG(function))


def _refuse_without_on() -> None:
    for option in given(("devices_file", "ssh_config", "keep")).values():
        raise click.UsageError(f"{option} needs --on DEVICE")


def refuse_here(names: Sequence[str]) -> None:
    """Raise UsageError for an option that only works on this machine."""
    for option in given(names).values():
        raise click.UsageError(f"{option} works only on this machine, without --on")


def read_bundles(paths: Sequence[Path]) -> tuple[list[Bundle], list[LeftOut], bool]:
    """All bundles, those that are damaged in a folder of bundles, and whether each was named itself.

    raises  BundleError for a named one that is damaged, UsageError for a language model's
    """
    from edgetl.bench.measurement import LeftOut
    from edgetl.bundle.read import bundle_folders, is_folder_of_bundles, read_bundle
    from edgetl.errors import BundleError, UsageError
    from edgetl.language.bundle import is_language

    bundles: list[Bundle] = []
    damaged: list[LeftOut] = []
    for path in paths:
        for folder in bundle_folders(path):
            try:
                if is_language(folder):
                    raise UsageError(f"{folder}: a language model's bundle runs from Python only; use it without --on")
                bundles.append(read_bundle(folder))
            except BundleError as error:
                if not is_folder_of_bundles(path):
                    raise
                damaged.append(LeftOut(str(folder), str(error), damaged=True))
    return bundles, damaged, not any(is_folder_of_bundles(path) for path in paths)


def measure_on(
    place: DeviceOptions,
    devices: Devices,
    paths: Sequence[Path],
    timed: Timed,
    how: How,
    progress: Progress,
) -> list[Outcome[Measurement]]:
    """Measure bundles on every device, side by side. Results of an earlier run of the same command that some devices
    did not finish are taken as they are."""
    from dataclasses import replace

    from edgetl import __version__
    from edgetl.bench.measurement_file import parse_measurement
    from edgetl.bundle.manifest import FILE_NAME
    from edgetl.devices.config import Devices
    from edgetl.devices.jobs import choose, measure
    from edgetl.devices.programs import Programs
    from edgetl.devices.side_by_side import Outcome
    from edgetl.devices.unfinished import unfinished
    from edgetl.files.digest import file_digest

    bundles, damaged, asked = read_bundles(paths)
    digests = {str(bundle.folder): file_digest(bundle.folder / FILE_NAME) for bundle in bundles}
    request = {"timed": asdict(timed), "threads": how.threads, "version": __version__, "bundles": digests}
    journal = unfinished(request | {"devices": [asdict(device) for device in devices.devices]})
    done = {device.name: text for device in devices.devices if (text := journal.get(device.file_name))}

    def work(held: Held) -> Measurement:
        there = Programs(held, how)
        with progress.task(held.device.name, total=None):
            taken, left = choose(there, bundles, asked=asked)
            found = measure(there, taken, timed, asked=asked)
        found = replace(found, left_out=(*damaged, *left, *found.left_out))
        journal.put(held.device.file_name, json.dumps(asdict(found)))
        return found

    others = Devices(tuple(device for device in devices.devices if device.name not in done), devices.apps)
    ran = {outcome.device.name: outcome for outcome in place.on_each(others, work)}
    outcomes = [
        ran.get(device.name) or Outcome(device, parse_measurement(done[device.name], f"{device.name}, measured before"))
        for device in devices.devices
    ]
    if not any(outcome.error for outcome in outcomes):
        journal.clear()
    return outcomes


def say_errors(outcomes: Sequence[Outcome[Any]]) -> int:
    """One line on stderr for every device that failed; the exit code."""
    from edgetl.files.text import escaped

    for outcome in outcomes:
        if outcome.error:
            click.echo(f"edgetl: {outcome.device.name}: {escaped(outcome.error)}", err=True)
    return 1 if any(outcome.error for outcome in outcomes) else 0


def emit_outcomes(outcomes: Sequence[Outcome[Any]], plain: Callable[[Any], Any]) -> None:
    """JSON: of one device its result, of several a list with names and errors. One that failed alone prints nothing."""
    if len(outcomes) > 1:
        listed = [
            {
                "device": outcome.device.name,
                "result": None if outcome.value is None else plain(outcome.value),
                "error": outcome.error,
            }
            for outcome in outcomes
        ]
        emit({"devices": listed})
    elif outcomes[0].value is not None:
        emit(plain(outcomes[0].value))
