"""Temporary folders: removed with the run, and those of killed runs with the next one."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgetl.errors import EdgetlError, StoreError

_PREFIX = "edgetl-scratch-"
_NAME = re.compile(rf"{_PREFIX}[a-z0-9_]{{8}}")
_YOUNG_S = 60.0  # a folder exists for a moment before it is locked
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_BYTES = 64 << 10


@contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new empty folder in `parent` (default: the usual temporary folder), until the `with` ends.

    It is locked while its process lives, so that another run can recognize and remove the leftovers of a killed one.
    raises  StoreError that names the place if that is full; OSError in a given `parent`, whichever library failed.
    """
    place = parent or Path(tempfile.gettempdir())
    for left in abandoned(place):
        shutil.rmtree(left, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=place) as name, _room(place):
            descriptor = os.open(name, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield Path(name)
            finally:
                os.close(descriptor)
    except OSError as error:
        if parent or error.errno not in _FULL or not str(error.filename or place).startswith(str(place)):
            raise
        text = "no space left on the device for temporary files; free some, or set TMPDIR to another folder"
        raise StoreError(f"{place}: {text}") from error


@contextmanager
def _room(place: Path) -> Iterator[None]:
    """Turns an exception caused by a full disk into OSError, while all files still exist."""
    try:
        yield
    except Exception as error:
        if not comes_of_full_disk(error, place):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place)) from error


def comes_of_full_disk(error: Exception, place: Path) -> bool:
    """Whether an exception that is not an OSError with a number is caused by a full disk at the folder `place`.

    Libraries use their own words for it, numpy gives no number, and the backends pass messages on.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return False
    if os.strerror(errno.ENOSPC) in str(error):
        return True
    if isinstance(error, EdgetlError) and error.__cause__ is None:
        return False
    return place.exists() and shutil.disk_usage(place).free < _FULL_BYTES


def abandoned(place: Path) -> list[Path]:
    """Folders of `temporary_folder` in `place` whose process has ended; only those of this user."""
    found = []
    with suppress(OSError):
        for path in sorted(place.iterdir()):
            with suppress(OSError):
                if _NAME.fullmatch(path.name) and not path.is_symlink() and _is_abandoned(path):
                    found.append(path)
    return found


def _is_abandoned(path: Path) -> bool:
    status = path.stat()
    if status.st_uid != os.geteuid() or time.time() - status.st_mtime < _YOUNG_S:
        return False
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
