"""Finds the files of a list whose paths come from other computers, labeling tools and other systems."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgetl.data.names import loosely
from edgetl.fronts.image.decode import SUFFIXES

MAX_LOOKED_AT = 1_000_000
"""Largest number of files in a folder whose images are looked up by the last parts of their paths."""

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Lookup:
    """Paths of a list -> files.

    base      the folder in which relative paths start: the list's
    images    the folder in which files are looked up by the last parts of their paths (`data.images`); None: no lookup
    suffixes  of the files there
    """

    def __init__(self, base: Path, images: Path | None, suffixes: tuple[str, ...] = SUFFIXES) -> None:
        self.base, self.images, self.suffixes = base, images, suffixes
        self._by_name: dict[str, list[tuple[str, ...]]] | None = None

    def find(self, name: str) -> str | None:
        """The absolute path of the file that `name` means: unchanged, with another separator or Unicode form, or by its
        last parts. None if there is no such file, or several match equally well."""
        for text in dict.fromkeys((name, name.replace("\\", "/"))):
            for form in dict.fromkeys((text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD")))):
                target = _absolute(self.base, form)
                if os.path.isfile(target):  # noqa: PTH113 - Path.is_file raises on names that are too long
                    return target
        return None if self.images is None else self._by_last_parts(self.images, parts_of(name))

    def why_not(self, name: str) -> str:
        """What is unusual about a path that was not found, with what to do; "" if nothing is."""
        known = "set data.images to the folder with the files; they are looked up by the last parts of their paths"
        kind = (
            "a URL"
            if _ADDRESS.match(name)
            else "a Windows path with a drive"
            if _DRIVE.match(name)
            else "a path with backslashes"
            if "\\" in name
            else "an absolute path, perhaps from another computer"
            if name.startswith("/")
            else ""
        )
        if self.images is not None:
            return f"and no single file below {self.images} ends like it"
        if kind:
            return f"it is {kind}; {known}"
        twin = self._twin(name)
        return f"did you mean `{twin}`? only the case differs" if twin else ""

    def _by_last_parts(self, images: Path, parts: Sequence[str]) -> str | None:
        if not parts:
            return None
        candidates = self._files_called(images, parts[-1])
        wanted = [loosely(part) for part in parts]
        scored = [(_common_ends(wanted, [loosely(part) for part in found]), found) for found in candidates]
        best = max((score for score, _ in scored), default=0)
        fitting = [found for score, found in scored if score == best]
        return str(images.joinpath(*fitting[0])) if best and len(fitting) == 1 else None

    def _files_called(self, images: Path, name: str) -> list[tuple[str, ...]]:
        if self._by_name is None:
            self._by_name = {}
            for count, found in enumerate(_files_below(images, self.suffixes)):
                if count >= MAX_LOOKED_AT:
                    break
                self._by_name.setdefault(loosely(found[-1]), []).append(found)
        return self._by_name.get(loosely(name), [])

    def _twin(self, name: str) -> str:
        """The path below `base` that matches the name loosely; "" if there is none."""
        here, taken = self.base, []
        for part in Path(name).parts:
            if part in (".", ".."):
                return ""
            try:
                names = {loosely(entry): entry for entry in os.listdir(here)}  # noqa: PTH208 - names, not paths
            except OSError:
                return ""
            if loosely(part) not in names:
                return ""
            taken.append(names[loosely(part)])
            here = here / taken[-1]
        return "/".join(taken)


def parts_of(name: str) -> list[str]:
    """The parts of a path of any system or of a URL, without scheme, host, drive, query, `.` and `..`."""
    address = _ADDRESS.match(name)
    if address:
        _, _, name = name[address.end() :].partition("/")
        name = re.split(r"[?#]", name)[0]
    name = name[2:] if _DRIVE.match(name) else name
    return [part for part in re.split(r"[\\/]+", name) if part not in ("", ".", "..")]


def _common_ends(first: Sequence[str], second: Sequence[str]) -> int:
    count = 0
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one != other:
            break
        count += 1
    return count


def _files_below(folder: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inner = Path(here).relative_to(folder).parts
        yield from ((*inner, name) for name in sorted(names) if name.lower().endswith(suffixes))


def _absolute(base: Path, text: str) -> str:
    return os.path.abspath(base / text)  # noqa: PTH100 - resolve() would replace links
