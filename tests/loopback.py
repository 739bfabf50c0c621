"""Real sshd processes on loopback as devices: own keys and configuration, each with its own folder, port and logs."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

SSHD_PACKAGES = "apt-get install openssh-server openssh-client"


@dataclass
class Board:
    """One sshd. folder  where runs make their folders; home  of what `--keep` leaves"""

    name: str
    folder: Path
    home: Path
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def left_behind(self, patience_s: float = 15.0) -> list[str]:
        """What lies in its folder once everything had time to clean up."""
        end = time.monotonic() + patience_s
        while (found := sorted(path.name for path in self.folder.iterdir())) and time.monotonic() < end:
            time.sleep(0.05)
        return found

    def programs(self) -> list[str]:
        """Names of what runs from its folder, or holds it."""
        lines = ((each.info["name"], each.info["cmdline"] or ()) for each in psutil.process_iter(["name", "cmdline"]))
        mine = (name for name, line in lines if any(f"{self.folder}/edgetl-job" in part for part in line))
        return [name for name in mine if not name.startswith("ssh")]

    def wait_for_program(self, patience_s: float = 30.0) -> None:
        """Until something of a run works there."""
        end = time.monotonic() + patience_s
        while "edgetl-bench" not in self.programs():
            assert time.monotonic() < end, "nothing was started"
            time.sleep(0.02)

    def connections(self) -> int:
        """How many were accepted so far."""
        return self.log.read_text(errors="replace").count("Accepted publickey")

    def drop(self) -> None:
        """Kill every connection, without a word to either side."""
        for each in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if each.name().startswith("sshd"):
                    each.kill()


class Loopback:
    """Boards, and a configuration of ssh that knows them by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.boards: dict[str, Board] = {}
        self.config, self.known = folder / "ssh_config", folder / "known_hosts"
        self._keygen(folder / "key")
        self._keygen(folder / "host_key")
        shutil.copyfile(folder / "key.pub", folder / "authorized_keys")
        self.config.write_text("")
        self.known.write_text("")

    def board(self, name: str, *, path: str = "", shell: Path | None = None) -> Board:
        """Start one. path  PATH there, default: as here; shell  that gets every command instead of the login shell"""
        place, home, port = self.folder / name, self.folder / f"{name}-home", _free_port()
        place.mkdir()
        home.mkdir()
        lines = [
            f"Port {port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.folder}/host_key",
            f"AuthorizedKeysFile {self.folder}/authorized_keys",
            f"PidFile {self.folder}/{name}.pid",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            f"SetEnv HOME={home} {f'PATH={path}' if path else ''}",
            *([f"ForceCommand {shell}"] if shell else []),
        ]
        (self.folder / f"{name}.conf").write_text("\n".join(lines) + "\n")
        log = (self.folder / f"{name}.log").open("wb")
        command = [str(sshd()), "-D", "-e", "-f", str(self.folder / f"{name}.conf")]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        self.boards[name] = Board(name, place, home, port, process, self.folder / f"{name}.log")
        self._wait(port, process)
        self.add_host(name, port)
        public = (self.folder / "host_key.pub").read_text().split()
        with self.known.open("a") as known:
            known.write(f"[127.0.0.1]:{port} {public[0]} {public[1]}\n")
        return self.boards[name]

    def add_host(self, name: str, port: int) -> None:
        """Let ssh know the name."""
        entry = [
            f"Host {name}",
            "  HostName 127.0.0.1",
            f"  Port {port}",
            f"  User {getpass.getuser()}",
            f"  IdentityFile {self.folder}/key",
            "  IdentitiesOnly yes",
            f"  UserKnownHostsFile {self.known}",
            "  GlobalKnownHostsFile /dev/null",
        ]
        with self.config.open("a") as config:
            config.write("\n".join(entry) + "\n")

    def devices(self, apps: Path, **more: Mapping[str, object]) -> Path:
        """A devices.yaml with all boards. more  further keys of a board"""
        entries = {
            name: {"host": name, "folder": str(board.folder), **more.get(name, {})}
            for name, board in self.boards.items()
        }
        path = self.folder / "devices.yaml"
        path.write_text(yaml.safe_dump({"devices": entries, "apps": [str(apps)]}))
        return path

    def close(self) -> None:
        for board in self.boards.values():
            board.drop()
            board.process.terminate()
            board.process.wait(10)

    def _keygen(self, path: Path) -> None:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)

    def _wait(self, port: int, process: subprocess.Popen[bytes]) -> None:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            if process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError("sshd does not start: " + "".join(path.read_text() for path in self.folder.glob("*.log")))


def loopback(folder: Path) -> Loopback:
    """Skips the calling test where sshd is absent."""
    if sshd() is None or shutil.which("ssh") is None:
        pytest.skip(f"no sshd here: {SSHD_PACKAGES}")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it gives up its rights; its package makes it at boot
    return Loopback(folder)


def sshd() -> str | None:
    """Its program; None where it is absent."""
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


FINISHER = """#!{python}
import sys
from dataclasses import replace
from edgetl.backends.tensorrt import TensorRTBackend
from edgetl.bundle import inference
from edgetl.cli import main

def finish(self, folder, compiled, target):
    (folder / "model.engine").write_text("an engine")
    {more}
    files = (*compiled.files, "model.engine")
    return replace(compiled, backend_version="10.3", model="model.engine", files=files, finished=True)

TensorRTBackend.finish = finish
inference.open_once = lambda folder, limits: None
assert sys.argv[1:3] == ["-m", "edgetl"]
main(sys.argv[3:])
"""
"""A device's Python with a stand-in for TensorRT, which needs a GPU."""


def finisher(place: Path, more: str = "pass") -> str:
    place.write_text(FINISHER.format(python=sys.executable, more=more))
    place.chmod(0o755)
    return str(place)
