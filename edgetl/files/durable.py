"""Files that are complete after a kill or a power cut, and that detect damage to their bytes."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

_SEAL = b"edgetl sealed 1 "
_MANY = 200  # parallel syncs; one after another they would take seconds
_HEADER_BYTES = len(_SEAL) + 64 + 1


class Damaged(ValueError):
    """A file's bytes have changed since it was written."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: damaged on disk: changed since it was written")
        self.path = path


def damaged(path: Path, what: str = "") -> str:
    """`cache/judged/1f.kept: damaged on disk; computed again`."""
    name = "/".join(path.parts[-3:])
    return f"{name}: {what}damaged on disk; computed again"


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically: a reader sees the old one or the complete new one, even after a power cut."""
    aside = path.with_name(path.name + ".part")
    try:
        with aside.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a file atomically: a reader sees the old one or the complete new one, even after a power cut."""
    write_bytes(path, text.encode("utf-8"))


def sync(path: Path) -> None:
    """Put a file's bytes, or a folder's list of names, on disk before anything that comes later."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_below(folder: Path) -> None:
    """`sync` everything in `folder`, and the folder itself last."""
    paths = [path for path in folder.rglob("*") if path.is_file() or path.is_dir()]
    if len(paths) > _MANY:
        os.sync()
        return
    for path in (*paths, folder):
        sync(path)


def write_sealed(path: Path, data: bytes) -> None:
    """Write `data` after one line with its SHA-256."""
    write_bytes(path, _SEAL + hashlib.sha256(data).hexdigest().encode() + b"\n" + data)


def read_sealed(path: Path) -> bytes:
    """Read the data of `write_sealed`. Raises OSError; Damaged if bytes changed or are missing."""
    content = path.read_bytes()
    header, data = content[:_HEADER_BYTES], content[_HEADER_BYTES:]
    if header != _SEAL + hashlib.sha256(data).hexdigest().encode() + b"\n":
        raise Damaged(path)
    return data


def put(scratch: Path, folder: Path) -> None:
    """Move a finished scratch folder to its place in one rename, replacing an older one.

    The old one is moved aside first and restored if the new one cannot take its place.
    """
    _share(scratch)
    sync_below(scratch)
    if folder.exists():
        old = scratch.with_name(scratch.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        try:
            folder.rename(old)
            scratch.rename(folder)
        except BaseException:  # also on an interrupt: the caller may remove everything beside `scratch`
            if not folder.exists():
                old.rename(folder)
            raise
        sync(folder.parent)
        shutil.rmtree(old)
    else:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch.rename(folder)
        sync(folder.parent)


def _share(folder: Path) -> None:
    # some libraries write files that only their owner may read, but others must be able to use the build
    mask = os.umask(0)
    os.umask(mask)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o666 & ~mask)
