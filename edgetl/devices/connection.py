"""One connection to a device by the user's own OpenSSH client, and the private folder there that it holds.

The first session is the connection: it runs `hold.sh`, whose end removes the folder. Everything else runs in further
sessions over the same connection (ControlMaster), with files through stdin and stdout: no sftp, no agent.
"""

from __future__ import annotations

import getpass
import queue
import re
import secrets
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO

from edgetl.devices.apps import machine_of
from edgetl.devices.config import Device
from edgetl.devices.failures import DeviceError, Stopped, lost, not_connected, of_output
from edgetl.errors import UsageError
from edgetl.files.temporary import temporary_folder

CONNECT_S = 60.0
"""For everything up to the device's first word: a jump host, a key on a token."""
SHORT_S = 120.0
LEAVE_S = 15.0
BEAT_S = 10.0
MAX_OUTPUT_BYTES = 4_000_000
MOST_ERROR_BYTES = 20_000
_LONGEST_SOCKET = 80  # of 108, and ssh appends 17 characters while it makes it
_OPTIONS = (
    "BatchMode=yes",  # nothing is asked for
    "StrictHostKeyChecking=yes",  # whatever the configuration says
    "UpdateHostKeys=no",
    "ConnectTimeout=15",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=4",
    "ControlPersist=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "LogLevel=ERROR",
)
RUN = """cd "$1" && echo $$ >"run.$2" && [ ! -e closing ] || exit 124
pid=$1/run.$2 mark=$3
shift 3
echo "$mark"
sh -c 'echo $$ >"$1" && [ ! -e closing ] || exit 124; shift; exec "$@"' edgetl "$pid.program" "$@" </dev/null
code=$?
rm -f "$pid" "$pid.program"
exit $code"""
"""Runs a program in the folder $1 so that hold.sh can end it: $2 is its number, $3 a line that comes first.

Both processes are written down: the first leads a group with OpenSSH's sshd, but not with dropbear.
"""
_STEP = """cd "$1" || exit 124
echo "$2"
shift 2
"""


@dataclass(frozen=True)
class Ssh:
    """The OpenSSH client. config  a configuration file instead of the user's own"""

    config: Path | None = None

    def command(self, host: str, socket_path: Path, *options: str) -> list[str]:
        """The client with its options, up to the host."""
        given = [part for option in (*options, *_OPTIONS) for part in ("-o", option)]
        return [_client(), *self._file(), "-T", *given, "-S", str(socket_path), "--", host]

    def by_hand(self, host: str) -> str:
        """How the user connects."""
        return shlex.join(["ssh", *self._file(), host])

    def _file(self) -> list[str]:
        return ["-F", str(self.config)] if self.config else []


@dataclass(frozen=True)
class Done:
    """A command that ended there. out  only what it printed itself, after anything of the login shell's"""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "replace")


@dataclass
class Held:
    """A device while this run has it.

    folder        private, on the device
    architecture  its `uname -m`; machine  the kind of programs that it runs
    known         SHA-256 of files there that this run has checked, by path
    """

    device: Device
    folder: str
    architecture: str
    _ssh: Ssh
    _local: Path
    _mark: str
    _master: _Master
    _stop: threading.Event
    known: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1_000_000)))

    @property
    def machine(self) -> str:
        return machine_of(self.architecture)

    def local(self, name: str) -> Path:
        """A place for a temporary file on this side."""
        return self._local / f"own-{name}"

    def run(self, *command: str, environment: Mapping[str, str] | None = None, limit_s: float = SHORT_S) -> Done:
        """Run a program in the private folder; if the connection ends, it is killed there."""
        variables = "".join(f"{name}={shlex.quote(value)} " for name, value in (environment or {}).items())
        script = f"export {variables}\n{RUN}" if variables else RUN
        number = next(self._numbers)
        return self._session(script, (self.folder, str(number), self._mark, *command), number, None, limit_s)

    def step(self, script: str, *arguments: str, stdin: Path | None = None, limit_s: float = SHORT_S) -> Done:
        """Run a short POSIX script there, in the private folder; `arguments` are $1, $2..."""
        number = next(self._numbers)
        return self._session(_STEP + script, (self.folder, self._mark, *arguments), number, stdin, limit_s)

    def must(self, doing: str, script: str, *arguments: str, stdin: Path | None = None) -> Done:
        """The same. Raises DeviceError if it fails. doing  "copying the bundle" """
        done = self.step(script, *arguments, stdin=stdin, limit_s=SHORT_S if stdin is None else 3600.0)
        if done.code:
            raise of_output(done.err, doing)
        return done

    def fetch(self, path: str, place: Path, most_bytes: int) -> None:
        """Bring a file back. Raises DeviceError if it cannot be read, or is larger."""
        number = next(self._numbers)
        script, limit_s = _STEP + 'cat "$1"', 3600.0
        out = self._local / f"{number}.out"
        done = self._session(script, (self.folder, self._mark, path), number, None, limit_s, most_bytes, read=False)
        if done.code:
            raise of_output(done.err, "bringing the result back")
        with out.open("rb") as stream, place.open("wb") as target:
            _skip_to_mark(stream, self._mark)
            shutil.copyfileobj(stream, target)
        out.unlink()

    def _session(
        self,
        script: str,
        arguments: tuple[str, ...],
        number: int,
        stdin: Path | None,
        limit_s: float,
        most_bytes: int = MAX_OUTPUT_BYTES,
        *,
        read: bool = True,
    ) -> Done:
        out, err = self._local / f"{number}.out", self._local / f"{number}.err"
        # without the connection ssh would make one of its own
        command = self._ssh.command(self.device.host, self._local / "s", "ControlMaster=no", "ProxyCommand=false")
        command.append(_quoted(script, *arguments))
        with out.open("wb") as to, err.open("wb") as errors, _input(stdin) as given:
            process = _start(command, given, to, errors)
            try:
                self._wait(process, out, limit_s, most_bytes)
            finally:
                _end(process)
        if process.returncode == 255 or self._master.ended:
            self._master.raise_if_ended(wait_s=2.0)
        said = _text(err)
        err.unlink()
        if not read:
            return Done(process.returncode, b"", said)
        with out.open("rb") as stream:
            _skip_to_mark(stream, self._mark)
            content = stream.read()
        out.unlink()
        return Done(process.returncode, content, said)

    def _wait(self, process: subprocess.Popen[bytes], out: Path, limit_s: float, most_bytes: int) -> None:
        end = time.monotonic() + limit_s
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
                return
            if self._stop.is_set():
                raise Stopped("stopped")
            self._master.raise_if_ended()
            if time.monotonic() > end:
                raise DeviceError(f"no result after {limit_s:g} s; ended it there; --time-limit allows more")
            if max(path.stat().st_size for path in (out, out.with_suffix(".err"))) > most_bytes + 100_000:
                raise DeviceError(f"sent more than {most_bytes} bytes; ended it there")


@contextmanager
def held(device: Device, ssh: Ssh, stop: threading.Event) -> Iterator[Held]:
    """Connect, take the device and a private folder there; both are given back at the end.

    stop    set by another thread to end everything
    raises  DeviceError if it cannot be reached, is in use, or the connection is lost
    """
    with _local_folder() as local:
        master = _Master(device, ssh, local, stop)
        try:
            architecture, folder = master.enter()
            yield Held(device, folder, architecture, ssh, local, master.mark, master, stop)
        finally:
            master.leave()


class _Master:
    """The session that is the connection."""

    def __init__(self, device: Device, ssh: Ssh, local: Path, stop: threading.Event) -> None:
        token = secrets.token_hex(12)
        self.mark = f"edgetl-{token}"
        self._device, self._ssh, self._errors, self._stop = device, ssh, local / "errors", stop
        self._entered = False
        command = ssh.command(device.host, local / "s", "ControlMaster=yes")
        command.append(_quoted(hold_script(), _owner(), token, device.folder))
        with self._errors.open("wb") as errors:
            self._process = _start(command, subprocess.PIPE, subprocess.PIPE, errors)
        self._said: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self._over = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()

    def enter(self) -> tuple[str, str]:
        """The device's architecture and the folder that it made. Raises DeviceError."""
        end = time.monotonic() + CONNECT_S
        while True:
            if self._stop.is_set():
                raise Stopped("stopped")
            with suppress(queue.Empty):
                words = self._said.get(timeout=0.1)
                if words[:1] == ["ready"] and len(words) == 3 and words[2].startswith("/"):
                    self._entered = True
                    return words[1], words[2]
                raise self._refused(words)
            if time.monotonic() > end:
                raise DeviceError(f"no answer within {CONNECT_S:g} s; try: {self._ssh.by_hand(self._device.host)}")

    @property
    def ended(self) -> bool:
        return self._over.is_set() or self._process.poll() is not None

    def raise_if_ended(self, wait_s: float = 0.0) -> None:
        """Raise DeviceError if the connection is lost, which may be noticed after a session failed."""
        if self._over.wait(wait_s) or self.ended:
            raise Stopped("stopped") if self._stop.is_set() else lost()

    def leave(self) -> None:
        """Let the device clean up, then end the connection."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(b"bye\n")
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVE_S if self._entered else 1.0)
        self._over.set()
        _end(self._process)

    def _refused(self, words: list[str]) -> DeviceError:
        if words[:1] == ["busy"]:
            owner, process = (*words[1:], "?", "?")[:2]
            return DeviceError(f"in use by {owner} (process {process} there); one job runs at a time: try again later")
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)
        said = _text(self._errors)
        if self._process.returncode == 255:
            return not_connected(self._device, self._ssh.by_hand(self._device.host), said)
        if "not found" in said or ("No such file" in said and "sh" in said and "mkdir" not in said):
            return DeviceError(f"no POSIX shell with mkdir, cat, rm and uname there: {said.strip().splitlines()[-1]}")
        return of_output(said, f"making a folder in {self._device.folder}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in iter(lambda: stream.readline(10_000), b""):
                words = line.decode("utf-8", "replace").rstrip("\r\n").split(" ", 3)  # a folder may have spaces
                if words[:1] == [self.mark]:
                    self._said.put(words[1:])
        self._over.set()
        self._said.put([])

    def _beat(self) -> None:
        """Without it the device cannot know that a silent connection still has another end."""
        assert self._process.stdin is not None
        while not self._over.wait(BEAT_S):
            with suppress(OSError, ValueError):
                self._process.stdin.write(b"\n")
                self._process.stdin.flush()


@cache
def hold_script() -> str:
    return Path(__file__).with_name("hold.sh").read_text(encoding="utf-8")


@cache
def _client() -> str:
    found = shutil.which("ssh")
    if found is None:
        raise UsageError("--on: no ssh on the PATH; run: apt-get install openssh-client")
    return found


def _owner() -> str:
    """Whose run it is, as part of a file's name on the device."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return re.sub("[^A-Za-z0-9_@-]", "-", f"{user}@{socket.gethostname()}")[:64]


@contextmanager
def _local_folder() -> Iterator[Path]:
    """A private one, with a path that is short enough for a socket."""
    short = len(tempfile.gettempdir()) < _LONGEST_SOCKET - 40
    with temporary_folder(None if short else Path("/tmp")) as folder:
        yield folder


@contextmanager
def _input(path: Path | None) -> Iterator[int | IO[bytes]]:
    if path is None:
        yield subprocess.DEVNULL
        return
    with path.open("rb") as stream:
        yield stream


def _start(
    command: list[str], stdin: int | IO[bytes], stdout: int | IO[bytes], stderr: IO[bytes]
) -> subprocess.Popen[bytes]:
    # in a session of its own there is no terminal: nothing can ask there, and Ctrl-C reaches only us, who clean up
    return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(2.0)
    if process.poll() is None:
        process.kill()
        process.wait()


def _quoted(script: str, *arguments: str) -> str:
    """A command for any login shell that knows single quotes."""
    return f"exec {shlex.join(['sh', '-c', script, 'edgetl', *arguments])}"


def _text(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(MOST_ERROR_BYTES).decode("utf-8", "replace")


def _skip_to_mark(stream: IO[bytes], mark: str) -> None:
    """Past what the login shell may have printed; to the end if the command never began."""
    for line in iter(lambda: stream.readline(100_000), b""):
        if line.rstrip(b"\r\n") == mark.encode():
            return
