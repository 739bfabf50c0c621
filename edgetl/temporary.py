"""Temporary folders that disappear with the run, and those of killed runs with the next one."""

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
_YOUNG_S = 60.0  # a folder is made a moment before it is locked
_FULL_BYTES = 1 << 20


@contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new empty folder in `parent`, by default where temporary files go, until the `with` ends.

    It is locked while its process lives, so that another run can tell what a killed one left and remove it.
    raises  StoreError that names the place where that one is full. In a given `parent` errors are the caller's.
    """
    place = parent or Path(tempfile.gettempdir())
    for left in abandoned(place):
        shutil.rmtree(left, ignore_errors=True)
    with _room(place, named=parent is not None), tempfile.TemporaryDirectory(prefix=_PREFIX, dir=place) as name:
        descriptor = os.open(name, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield Path(name)
        finally:
            os.close(descriptor)


def abandoned(place: Path) -> list[Path]:
    """Folders of `temporary_folder` in `place` whose process is gone; only our own user's."""
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


@contextmanager
def _room(place: Path, *, named: bool) -> Iterator[None]:
    """Libraries report a full disk in words of their own, and numpy in an error without a number."""
    try:
        yield
    except EdgetlError:
        raise
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        inside = not isinstance(error, OSError) or error.filename is None or str(error.filename).startswith(str(place))
        if named or not inside or not (full or shutil.disk_usage(place).free < _FULL_BYTES):
            raise
        raise StoreError(
            f"{place}: no space left on the device for temporary files; free some, or name another folder: TMPDIR=..."
        ) from error
