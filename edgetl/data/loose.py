"""Finds images or clips below a folder, without labels. Opens none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgetl.data.scan import UNNAMEABLE, hidden_reason, hides_examples, is_output, locate, natural_key
from edgetl.errors import DataError, UsageError
from edgetl.files.text import printable
from edgetl.fronts.base import Front, load_front
from edgetl.types import FrontName, Skipped

MAX_FILES = 200_000


@dataclass(frozen=True)
class Listed:
    """paths  absolute, in natural order; skipped  files and folders whose names are not valid text"""

    paths: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def list_examples(folder: Path, front: FrontName = "image") -> Listed:
    """The files below `folder` with a suffix of the front. Opens none.

    Hidden files and folders, links to folders, and output folders of edgetl are skipped. Raises UsageError if there is
    no such folder, DataError if there is no such file or more than MAX_FILES.
    """
    root, kind = locate(Path(), str(folder)), load_front(front)
    if not root.is_dir():
        raise UsageError(f"{root}: expected a folder of {kind.noun}s; found {'a file' if root.exists() else 'nothing'}")
    if printable(str(root)) != str(root):
        raise DataError(f"{printable(str(root))}: the path has control characters or is not UTF-8; rename it")
    skipped: list[Skipped] = []
    paths: list[str] = []
    for path in _below(root, kind, skipped):
        paths.append(path)
        if len(paths) > MAX_FILES:
            raise DataError(f"{root}: more than {MAX_FILES} {kind.noun}s; name one of its sub-folders")
    if not paths:
        found = f"; {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        raise DataError(
            f"{root}: neither it nor its sub-folders contain {kind.noun}s ({', '.join(kind.suffixes[:5])}, ...){found}"
        )
    paths.sort(key=lambda path: natural_key(Path(os.path.relpath(path, root)).as_posix()))
    return Listed(tuple(paths), tuple(skipped))


def _below(root: Path, front: Front, skipped: list[Skipped]) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise DataError(f"{printable(str(error.filename))}: cannot be listed: {error.strerror}") from error

    def nameable(folder: str, name: str) -> bool:
        if printable(name) != name:
            skipped.append(Skipped(printable(str(Path(folder) / name)), UNNAMEABLE))
            return False
        return True

    for folder, folders, names in os.walk(root, onerror=refuse):
        hidden = [Path(folder) / name for name in folders if hides_examples(Path(folder) / name, front.suffixes)]
        skipped.extend(Skipped(printable(str(path)), hidden_reason(front.noun)) for path in hidden)
        inner = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        folders[:] = [name for name in inner if not is_output(Path(folder) / name) and nameable(folder, name)]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in front.suffixes and nameable(folder, name):
                yield str(Path(folder) / name)
