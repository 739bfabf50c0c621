"""`devices.yaml`: machines that are reached over ssh, and where their programs lie."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator

from edgetl.backends.base import BACKENDS
from edgetl.errors import UsageError
from edgetl.files.json_file import PlainText, StrictModel, first_problem
from edgetl.files.text import escaped, nearest
from edgetl.files.yaml_file import read_yaml_file
from edgetl.recipes.targets import load_target

FILE_NAME = "devices.yaml"
APPS_VARIABLE = "EDGETL_APPS"
_HOST = re.compile(r"[A-Za-z0-9_.@:%/\[\]+~][A-Za-z0-9_.@:%/\[\]+~-]*")

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=80)]
Place = Annotated[PlainText, Field(pattern="^/", max_length=1000)]
"""A path on the device, from its root."""
Variable = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]


@dataclass(frozen=True)
class Device:
    """A machine to run on.

    host         as the user's ssh names it
    target       the target whose bundles are taken from a folder or a build; "": all that fit
    engines      backend -> its shared library on the device
    environment  variables for the programs there
    folder       where the run's private folder is made; one job at a time runs in it
    python       there, with edgetl and the SDK: for finishing only
    """

    name: str
    host: str
    target: str = ""
    engines: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = "/tmp"
    python: str = "python3"

    @property
    def file_name(self) -> str:
        """The name of its result; a host may have slashes."""
        return re.sub("[^A-Za-z0-9_.@-]", "-", self.name).lstrip(".") + ".json"


@dataclass(frozen=True)
class Devices:
    """The devices of a command, and folders with the C++ programs in the order in which they are searched."""

    devices: tuple[Device, ...]
    apps: tuple[Path, ...]


class _Entry(StrictModel):
    host: PlainText = ""
    target: PlainText = ""
    engines: dict[str, Place] = Field(default_factory=dict)
    environment: dict[Variable, PlainText] = Field(default_factory=dict)
    folder: Place = "/tmp"
    python: PlainText = "python3"

    @field_validator("engines")
    @classmethod
    def _known(cls, engines: dict[str, str]) -> dict[str, str]:
        for name in engines:
            if name not in BACKENDS:
                raise ValueError(f"unknown engine {name!r}; {nearest(name, BACKENDS)}")
        return engines


class _File(StrictModel):
    devices: dict[Name, _Entry]
    apps: tuple[PlainText, ...] = ()


def devices_of(names: Sequence[str], file: Path | None, targets_dirs: Sequence[Path] = ()) -> Devices:
    """The named devices: entries of `file`, or hosts as ssh knows them. No names: all entries.

    file    None: `devices.yaml` in the working folder, if there is one
    raises  UsageError for a file that is not valid, a name that is not a host's, or one that is named twice
    """
    found = file or (Path(FILE_NAME) if Path(FILE_NAME).is_file() else None)
    content = _read(found) if found else _File(devices={})
    for key, entry in content.devices.items():
        if entry.target:
            _check_target(f"{found}: devices.{key}.target", entry.target, targets_dirs)
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--on {name}: named twice; a device runs one job at a time")
    chosen = names or tuple(content.devices)
    return Devices(tuple(_device(name, content.devices.get(name)) for name in chosen), _folders(found, content.apps))


def _read(path: Path) -> _File:
    raw = read_yaml_file(path, "the devices")
    where = escaped(str(path))
    if not isinstance(raw, dict):
        raise UsageError(f"{where}: expected a mapping with the key `devices`")
    try:
        return _File.model_validate(raw)
    except ValidationError as error:
        raise UsageError(f"{where}: {first_problem(error)}") from error


def _check_target(where: str, name: str, targets_dirs: Sequence[Path]) -> None:
    try:
        load_target(name, targets_dirs)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _device(name: str, entry: _Entry | None) -> Device:
    if entry is None:
        return Device(name=name, host=_host(f"--on {name}", name))
    return Device(
        name=name,
        host=_host(f"{FILE_NAME}: devices.{name}.host", entry.host or name),
        target=entry.target,
        engines=entry.engines,
        environment=entry.environment,
        folder=entry.folder.rstrip("/") or "/",
        python=entry.python,
    )


def _host(where: str, text: str) -> str:
    """Refuses what ssh could take for an option or a shell for a command."""
    if not _HOST.fullmatch(text):
        raise UsageError(f"{where}: expected a host as ssh names it, for example pi@pi5.local; found {text!r}")
    return text


def _folders(file: Path | None, given: Sequence[str]) -> tuple[Path, ...]:
    """Those of the file, of EDGETL_APPS, the builds of a checkout, and the folders of installed programs."""
    base = file.absolute().parent if file else Path()
    named = [base / Path(text).expanduser() for text in given]
    named += [Path(text).expanduser() for text in os.environ.get(APPS_VARIABLE, "").split(os.pathsep) if text]
    builds = sorted((Path(__file__).resolve().parents[2] / "build").glob("*/bin"))
    installed = [Path(text) for text in os.environ.get("PATH", "").split(os.pathsep) if text]
    return (*named, *builds, *installed)
