"""What is on a device: its processor, its clock's governor, memory, system, engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgetl.bench.machine import Machine, describe
from edgetl.devices.apps import BENCH
from edgetl.devices.connection import Held
from edgetl.devices.failures import DeviceError
from edgetl.devices.programs import Programs
from edgetl.files.temporary import temporary_folder
from edgetl.files.text import printable

_FILES = (
    "proc/cpuinfo",
    "proc/meminfo",
    "proc/loadavg",
    "proc/device-tree/model",
    "etc/os-release",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_min_freq",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq",
)
_READ = 'for file; do [ -r "/$file" ] && echo "$MARK $file" && cat "/$file" && echo; done 2>/dev/null; exit 0'


@dataclass(frozen=True)
class Probed:
    """A device as it is. missing  what does not work, and why: programs for it, engines' libraries"""

    machine: Machine
    engines: tuple[str, ...]
    missing: tuple[str, ...]


def probe(there: Programs) -> Probed:
    """Look at a held device. Raises DeviceError only if the connection is lost."""
    machine = _machine(there.held)
    try:
        engines, missing = tuple(there.engines(BENCH)), []
    except DeviceError as error:
        engines, missing = (), [str(error)]
    for name, path in there.held.device.engines.items():
        if there.held.step('[ -e "$1" ]', path).code:
            missing.append(f"engines.{name}: no such file there: {path}")
    return Probed(machine, engines, tuple(missing))


def _machine(held: Held) -> Machine:
    """By the code that describes this machine, on copies of the device's files."""
    separator = "edgetl-file"
    said = held.step(f"MARK={separator}\n{_READ}", *_FILES).text
    files: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in said.splitlines():
        if line.startswith(f"{separator} "):
            lines = files.setdefault(line.partition(" ")[2], [])
        else:
            lines.append(printable(line.replace("\t", " ")))
    with temporary_folder() as root:
        for name in _FILES:
            _write(root / name, files.get(name, []))
        machine = describe(root)
    cores = sum(line.startswith("processor") for line in files.get("proc/cpuinfo", []))
    system = machine.system.partition(", ")[0]
    return replace(
        machine,
        cpu=machine.cpu if machine.cpu != machine.architecture else None,
        architecture=printable(held.architecture),
        logical_cores=cores or None,
        usable_cores=None,
        python=None,
        system=system,
    )


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if lines:
        path.write_text("\n".join(lines).rstrip("\n") + "\n", encoding="utf-8")
