"""Files to a device by their digest: what lies there already is not copied, and all are checked there."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetl.devices.connection import Held
from edgetl.devices.failures import DeviceError, of_output

_COPYING = "copying files there"
_DIGESTS = """cd "$1" || exit 1
tool=$2
if command -v sha256sum >/dev/null 2>&1; then digest() { sha256sum <"$1"; }
elif [ -f "$tool" ] && [ -x "$tool" ]; then digest() { "$tool" "$1" --digest </dev/null; }
else exit 3; fi
while IFS= read -r name; do
  [ -f "$name" ] && line=$(digest "$name") && echo "${line%% *} $name"
done
exit 0"""
_KEPT = "cd && mkdir -p .cache/edgetl-device && cd .cache/edgetl-device && pwd"


@dataclass(frozen=True)
class Sent:
    """A file to be there. name  relative, with slashes, of plain characters"""

    source: Path
    name: str
    sha256: str
    program: bool = False


def kept_folder(held: Held) -> str:
    """The folder in the user's home there whose files stay for the next run."""
    return held.must("making a folder for --keep", f"umask 077; {_KEPT}").text.strip()


def send(held: Held, root: str, files: Sequence[Sent], digester: str) -> int:
    """Make all files be in the folder `root` there, checked. Returns how many were copied.

    digester  one of the names: a program that digests files, for devices without sha256sum
    raises    DeviceError
    """
    wanted = [file for file in files if held.known.get(f"{root}/{file.name}") != file.sha256]
    lies = {} if root == held.folder else _digests(held, root, [file.name for file in wanted], digester)
    missing = [file for file in wanted if lies.get(file.name) != file.sha256]
    if missing:
        _copy(held, root, missing)
        programs = [file.name for file in missing if file.program]
        if programs:
            held.must("making programs executable", 'cd "$1" && shift && chmod 700 "$@"', root, *programs)
        lies |= _digests(held, root, [file.name for file in missing], digester)
    for file in wanted:
        if lies.get(file.name) != file.sha256:
            raise DeviceError(f"{file.name}: differs there after copying; is the device's storage faulty?")
        held.known[f"{root}/{file.name}"] = file.sha256
    return len(missing)


def _digests(held: Held, root: str, names: Sequence[str], digester: str) -> dict[str, str]:
    """SHA-256 of those that are there, computed there."""
    listed = held.local("names")
    listed.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    done = held.step(_DIGESTS, root, f"{root}/{digester}", stdin=listed, limit_s=600.0)
    if done.code == 3:
        raise DeviceError(
            f"neither sha256sum nor a {digester.rpartition('/')[2]} that starts is there to check files with"
        )
    if done.code:
        raise of_output(done.err, "digesting files there")
    lines = (line.partition(" ") for line in done.text.splitlines())
    return {name: digest for digest, _, name in lines}


def _copy(held: Held, root: str, files: Sequence[Sent]) -> None:
    """Each content once over the connection; equal files are copied there."""
    first = {file.sha256: file for file in reversed(files)}
    sent = list(first.values())
    if held.step("command -v tar").code == 0:
        _copy_archive(held, root, sent)
    else:
        _copy_each(held, root, sent)
    equal = [part for file in files if first[file.sha256] is not file for part in (first[file.sha256].name, file.name)]
    if equal:
        _make_folders(held, root, files)
        script = 'cd "$1" && shift && while [ $# -gt 1 ]; do cat "$1" >"$2" || exit 1; shift 2; done'
        held.must(_COPYING, script, root, *equal)


def _copy_archive(held: Held, root: str, files: Sequence[Sent]) -> None:
    archive = held.local("tar")
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as tar:
        for file in files:
            entry = tarfile.TarInfo(file.name)
            entry.size, entry.mode = file.source.stat().st_size, 0o600
            with file.source.open("rb") as stream:
                tar.addfile(entry, stream)
    held.must(_COPYING, 'umask 077; cd "$1" && tar -x -o -f -', root, stdin=archive)
    archive.unlink()


def _copy_each(held: Held, root: str, files: Sequence[Sent]) -> None:
    _make_folders(held, root, files)
    for file in files:
        held.must(_COPYING, 'umask 077; cd "$1" && cat >"$2"', root, file.name, stdin=file.source)


def _make_folders(held: Held, root: str, files: Sequence[Sent]) -> None:
    folders = sorted({file.name.rpartition("/")[0] for file in files} - {""})
    held.must(_COPYING, 'umask 077; cd "$1" && shift && mkdir -p "$@"', root, *folders)
