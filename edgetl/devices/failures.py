"""What can go wrong with a device, each in one line."""

from __future__ import annotations

import re
import shlex

from edgetl.devices.config import Device
from edgetl.errors import EdgetlError
from edgetl.files.text import one_line, shortened

_CHARACTERS = 300
_AGAIN = "run the same command again"


class DeviceError(EdgetlError):
    """A device that cannot be reached or used; the message does not name it."""


class EngineMissing(DeviceError):
    """A program there found no library of the engine `backend`."""

    def __init__(self, backend: str, message: str) -> None:
        super().__init__(message)
        self.backend = backend


class Stopped(DeviceError):
    """The user ended the command."""


def lost() -> DeviceError:
    return DeviceError(f"the connection was lost; {_AGAIN}")


def not_connected(device: Device, ssh: str, said: str) -> DeviceError:
    """Why ssh did not connect. ssh  how the user would connect; said  its stderr"""
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said or ("host key" in said.lower() and "has changed" in said):
        command = re.search("ssh-keygen -f .*", said)
        remove = command[0].strip() if command else f"ssh-keygen -R {shlex.quote(_plain_host(device.host))}"
        return DeviceError(
            f"its host key is not the known one: another machine, or reinstalled; if you know why: {remove}, then "
            f"{ssh} once, and compare the fingerprint"
        )
    if "host key is known" in said or "Host key verification failed" in said:
        return DeviceError(f"unknown host key, refused; run once: {ssh} and compare the fingerprint it shows")
    if "Permission denied" in said:
        return DeviceError(
            "ssh was refused: no key is accepted, and passwords are not asked for; try: ssh-add, or "
            f"ssh-copy-id {device.host}"
        )
    last = _last_line(said)
    return DeviceError(f"cannot connect: {last or 'ssh ended without a word'}; try: {ssh}")


def of_output(said: str, doing: str) -> DeviceError:
    """The failure of a command there, from its stderr."""
    if "No space left" in said or "quota exceeded" in said.lower():
        return DeviceError(f"no space left on the device while {doing}; free some, or set `folder` in devices.yaml")
    if "Read-only file system" in said:
        return DeviceError(f"read-only file system while {doing}; set `folder` in devices.yaml to a place for files")
    return DeviceError(f"failed while {doing}: {_last_line(said) or 'no message'}")


def cannot_start(app: str, architecture: str, said: str) -> DeviceError:
    """A program that does not even print its version."""
    if "Permission denied" in said:
        return DeviceError(
            f"{app} may not be started: the folder is mounted noexec; set `folder` in devices.yaml to another one"
        )
    if "GLIBC" in said:
        needed = re.search(r"GLIBC(?:XX)?_[0-9.]+", said)
        found = needed.group() if needed else "newer"
        return DeviceError(f"{app} needs a newer C library than the device has ({found}); build it on an older system")
    why = _last_line(said) or "no message"
    return DeviceError(f"{app} does not start there ({architecture}): {why}; is it built for this system?")


def of_program(name: str, code: int, said: str) -> DeviceError:
    """A program there that failed. said  its stderr"""
    line = _last_line(said).removeprefix(f"{name}: ").removeprefix("edgetl: ")
    if missing := re.search("expected the shared library of ([a-z_]+)", line):
        found = f"no library of {missing[1]} there; name its path under `engines` in devices.yaml"
        return EngineMissing(missing[1], f"{found}; {line.partition('; ')[2]}")
    if code > 128 and not line:
        return DeviceError(f"{name} was ended by signal {code - 128} there; not enough memory?")
    return DeviceError(f"{name}: {line or f'ended with {code}, without a message'}")


def _last_line(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return shortened(one_line(lines[-1]), _CHARACTERS).rstrip(".") if lines else ""


def _plain_host(host: str) -> str:
    return host.removeprefix("ssh://").rpartition("@")[2]
