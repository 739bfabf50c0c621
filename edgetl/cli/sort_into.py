"""Copies of classified files, one folder per class. Existing files are never overwritten."""

from __future__ import annotations

import filecmp
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from edgetl.errors import StoreError, UsageError
from edgetl.files.text import printable

_NOT_IN_A_NAME = re.compile(r'[\\/:*?"<>|]')
_MOST_NAMESAKES = 100_000


class Sorter:
    """Copies files into `folder`/CLASS/NAME."""

    def __init__(self, folder: Path, labels: Iterable[str]) -> None:
        """Raises UsageError if `folder` is not a folder, or two labels would share one."""
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder}: expected a folder to sort into, found a file")
        self.folder = folder
        self.names: dict[str, str] = {}
        for label in labels:
            name = _folder_name(label)
            if name in self.names.values():
                raise UsageError(f"{folder}: two labels would share the folder `{name}`; sort by --csv instead")
            self.names[label] = name

    def refuse_inside(self, sources: Iterable[Path]) -> None:
        """Raise UsageError if a file to be sorted is already in the folder: its copies would be classified and
        copied again."""
        target = self.folder.resolve()
        for source in sources:
            if source.resolve().is_relative_to(target):
                raise UsageError(
                    f"{self.folder}: contains {source}, which is to be classified; sort into another folder"
                )

    def copy(self, file: Path, label: str) -> Path:
        """The path of the copy: its own name, with a number appended if another file has that name. The same file is
        not copied twice. Raises StoreError."""
        place = self.folder / self.names[label]
        try:
            place.mkdir(parents=True, exist_ok=True)
            for number in range(1, _MOST_NAMESAKES):
                name = file.name if number == 1 else f"{file.stem}-{number}{file.suffix}"
                target = place / printable(name)
                if _copy_if_free(file, target) or filecmp.cmp(file, target, shallow=False):
                    return target
        except OSError as error:
            raise StoreError(f"{error.filename or place}: cannot be written: {error.strerror or error}") from error
        raise StoreError(f"{place}: {_MOST_NAMESAKES} files are named {file.name}; sort into another folder")


def sorter_of(folder: Path, labels: Iterable[str], images: Iterable[Path]) -> Sorter:
    """For files with one of these labels. Raises UsageError."""
    sorter = Sorter(folder, dict.fromkeys(labels))
    sorter.refuse_inside(images)
    return sorter


def _copy_if_free(file: Path, target: Path) -> bool:
    """Whether `target` was free and is now a copy. An incomplete copy is removed."""
    try:
        stream = target.open("xb")
    except FileExistsError:
        return False
    try:
        with stream, file.open("rb") as source:
            shutil.copyfileobj(source, stream)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return True


def _folder_name(label: str) -> str:
    name = _NOT_IN_A_NAME.sub("_", printable(label)).strip()
    return f"_{name[1:]}" if name.startswith(".") else name or "_"
