"""The C++ programs for a device's architecture, found by what their files say."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from edgetl.devices.failures import DeviceError

BENCH, VERIFY = "edgetl-bench", "edgetl-verify"
_MACHINES = {62: "x86_64", 183: "aarch64", 40: "arm"}
"""`e_machine` of ELF: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html"""
_TOOLCHAINS = {"aarch64": "aarch64-linux-gnu.cmake", "arm": "armhf-linux-gnueabihf.cmake"}


def machine_of(architecture: str) -> str:
    """The kind of programs that a machine runs, from its `uname -m`."""
    if architecture in ("amd64", "x86_64"):
        return "x86_64"
    if architecture in ("arm64", "aarch64"):
        return "aarch64"
    return "arm" if architecture.startswith("arm") else architecture


def find_app(name: str, machine: str, folders: Sequence[Path]) -> Path:
    """The first program of that name and machine. Raises DeviceError that says how to build it."""
    others: list[str] = []
    for folder in folders:
        path = folder / name
        built_for = _elf_machine(path)
        if built_for == machine:
            return path
        others += [built_for] if built_for else []
    found = f"found only those for {', '.join(dict.fromkeys(others))}" if others else "found none"
    toolchain = (
        f" with -DCMAKE_TOOLCHAIN_FILE=targets/toolchains/{_TOOLCHAINS[machine]}" if machine in _TOOLCHAINS else ""
    )
    how = f"build it (docs/guide/cpp.md){toolchain} and name its folder under `apps` in devices.yaml"
    raise DeviceError(f"expected {name} for {machine}; {found}; {how}")


def _elf_machine(path: Path) -> str:
    """ "" if it is no program of a known machine."""
    try:
        with path.open("rb") as stream:
            head = stream.read(20)
    except OSError:
        return ""
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return ""
    (machine,) = struct.unpack("<H" if head[5] == 1 else ">H", head[18:20])
    return _MACHINES.get(machine, "")
