"""The C++ programs and bundles on a held device, copied when they are first needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetl.bundle.manifest import FILE_NAME
from edgetl.bundle.read import Bundle
from edgetl.devices.apps import VERIFY, find_app
from edgetl.devices.connection import Done, Held
from edgetl.devices.failures import DeviceError, cannot_start
from edgetl.devices.transfer import Sent, kept_folder, send
from edgetl.files.digest import file_digest


@dataclass(frozen=True)
class How:
    """Settings of a job. apps  folders with the C++ programs; keep  leave the files there for the next run"""

    apps: tuple[Path, ...]
    limit_s: float
    threads: int = 1
    keep: bool = False


class Programs:
    """What a job has there. root  the folder of its files"""

    def __init__(self, held: Held, how: How) -> None:
        self.held, self.how = held, how
        self.root = kept_folder(held) if how.keep else held.folder

    def engines(self, name: str) -> list[str]:
        """The engines that a program was built with."""
        lines = self._version(self.program(name), name).splitlines()
        found = next((line for line in lines if line.startswith("engines: ")), "")
        return [each.strip() for each in found.removeprefix("engines: ").split(",") if each.strip()]

    def bundle(self, bundle: Bundle) -> str:
        """The bundle's folder there."""
        name = f"bundles/{file_digest(bundle.folder / FILE_NAME)}"
        send(self.held, self.root, files_of(bundle, name), self._digester())
        return f"{self.root}/{name}"

    def run(self, app: str, folders: Sequence[str], bundles: Sequence[Bundle], *options: str) -> Done:
        """Run a program on bundles of one of the groups of `together`."""
        library = self._library(bundles[0])
        return self.held.run(
            app, *folders, *library, *options, environment=self.held.device.environment, limit_s=self.how.limit_s
        )

    def readable(self, said: str, bundles: Sequence[Bundle], folders: Sequence[str]) -> str:
        """A message with the bundles' own places."""
        for bundle, folder in zip(bundles, folders, strict=True):
            said = said.replace(folder, str(bundle.folder))
        return said

    def together(self, bundles: Sequence[Bundle]) -> list[list[Bundle]]:
        """The bundles for one call of a program each, which takes the library of only one engine."""
        groups: dict[str, list[Bundle]] = {}
        for bundle in bundles:
            name = bundle.manifest.compiled.backend
            groups.setdefault(name if name in self.held.device.engines else "", []).append(bundle)
        return list(groups.values())

    def _library(self, bundle: Bundle) -> tuple[str, ...]:
        name = bundle.manifest.compiled.backend
        path = self.held.device.engines.get(name)
        if path is None:
            return ()
        if self.held.step('[ -e "$1" ]', path).code:
            raise DeviceError(f"devices.yaml: engines.{name}: no such file on the device: {path}")
        return "--engine-library", path

    def program(self, name: str) -> str:
        """Its path there; the one that digests goes with it."""
        sent = [self._sent(each) for each in dict.fromkeys((VERIFY, name))]
        send(self.held, self.root, sent, self._digester())
        return f"{self.root}/{sent[-1].name}"

    def _sent(self, name: str) -> Sent:
        path = find_app(name, self.held.machine, self.how.apps)
        digest = file_digest(path)
        return Sent(path, f"apps/{digest}/{name}", digest, program=True)

    def _digester(self) -> str:
        return self._sent(VERIFY).name

    def _version(self, app: str, name: str) -> str:
        done = self.held.run(app, "--version", environment=self.held.device.environment)
        if done.code:
            raise cannot_start(name, self.held.architecture, done.err)
        return done.text


def files_of(bundle: Bundle, root: str) -> list[Sent]:
    manifest = bundle.folder / FILE_NAME
    sent = [Sent(manifest, f"{root}/{FILE_NAME}", file_digest(manifest))]
    entries = bundle.manifest.files.items()
    return sent + [Sent(bundle.folder / name, f"{root}/{name}", entry.sha256) for name, entry in entries]
