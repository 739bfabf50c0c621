"""What every format of annotations is read into, and how its values are checked."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgetl.data.lists import check_label
from edgetl.data.lookup import Lookup
from edgetl.data.names import first_of, one_form
from edgetl.data.scan import Listing, natural_key
from edgetl.errors import DataError
from edgetl.files.text import printable, quoted, shortened
from edgetl.types import Skipped

Unit = Literal["pixels", "fractions"]
Corners = tuple[float, float, float, float]

MOST_PIXELS = 1e6
_PATH_CHARACTERS = 120
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Mark:
    """One object as its file states it, not yet compared with the image.

    name     how messages name it: `annotation 17`, `line 3`, `object 2`
    corners  x0, y0, x1, y1 with x0 <= x1 and y0 <= y1, finite
    ignore   a crowd or a difficult object: neither found nor missed objects count there
    """

    name: str
    corners: Corners
    label: int
    ignore: bool = False


@dataclass(frozen=True)
class Annotation:
    """The objects of one image; none: it shows only background.

    path   absolute;  source  the file that the marks are from
    size   (height, width) that the file states, if it does
    """

    path: str
    source: str
    marks: tuple[Mark, ...]
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Annotated:
    """Images with their objects, from one file or folder.

    where     the file or folder that was read
    root      names of images are relative to it: to draw them does not depend on where the data lie
    images    naturally sorted by name
    unit      of the marks: pixels of the upright image, or fractions of its sides
    files     absolute paths of the annotation files
    skipped   files that are not used, with the reason;  notes  a sentence for each oddity
    measures  whether the file names a validation part of its own
    """

    where: str
    root: Path
    classes: tuple[str, ...]
    images: tuple[Annotation, ...]
    unit: Unit
    files: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    measures: bool = False

    def listing(self) -> Listing:
        """The images as files without a class of their own."""
        files = tuple((each.path, 0) for each in self.images)
        return Listing(self.root, Path(self.where), self.classes, files, self.skipped, self.measures)

    def objects(self) -> tuple[int, ...]:
        """Labeled objects by class, without ignored ones."""
        counts = [0] * len(self.classes)
        for mark in (mark for image in self.images for mark in image.marks if not mark.ignore):
            counts[mark.label] += 1
        return tuple(counts)


def in_order(images: Iterable[Annotation]) -> tuple[Path, tuple[Annotation, ...]]:
    """The deepest folder with all images, and the images naturally sorted by their names in it. At least one."""
    listed = list(images)
    root = Path(os.path.commonpath([Path(each.path).parent for each in listed]))
    return root, tuple(sorted(listed, key=lambda each: natural_key(Path(os.path.relpath(each.path, root)).as_posix())))


def class_name(value: object, where: str) -> str:
    """A name of a class in Unicode's composed form. Raises DataError."""
    if not isinstance(value, str):
        raise DataError(f"{where}: expected the name of a class, found {quoted(value)}")
    name = one_form(value.strip())
    check_label(name, where)
    return name


def file_name(value: object, where: str) -> str:
    """A path of an image. Raises DataError."""
    if not isinstance(value, str) or not value.strip() or printable(value) != value:
        raise DataError(f"{where}: expected the path of an image, found {quoted(value)}")
    return value.strip()


def number(value: object, where: str) -> float:
    """A finite number, also as text. Raises DataError."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < MOST_PIXELS:
        return float(value)  # NaN is not below anything
    raise DataError(f"{where}: expected a number between -{MOST_PIXELS:g} and {MOST_PIXELS:g}, found {quoted(value)}")


def corners_of(values: Sequence[float], where: str) -> Corners:
    """x0, y0, x1, y1 with the first ones not larger. Raises DataError."""
    x0, y0, x1, y1 = values
    if x1 < x0 or y1 < y0:
        axis, low, high = ("width", x0, x1) if x1 < x0 else ("height", y0, y1)
        raise DataError(f"{where}: expected corners x0 <= x1 and y0 <= y1; found a {axis} of {high - low:g}")
    return x0, y0, x1, y1


def is_whole(value: float) -> bool:
    return math.isfinite(value) and value == int(value)


class Finder:
    """Looks up the images of an annotation file and collects the ones that are missing.

    where    the annotation file;  what  "image 3", for the message, is given with each name
    """

    def __init__(self, where: Path, base: Path, images: Path | None) -> None:
        self.where, self.lookup = where, Lookup(base, images)
        self.missing: list[str] = []
        self._hint = ""

    def find(self, name: str, what: str) -> str | None:
        target = self.lookup.find(name)
        if target is None:
            self.missing.append(f"`{shortened(name, _PATH_CHARACTERS)}` ({what})")
            self._hint = self._hint or self.lookup.why_not(name)
        return target

    def refuse_missing(self) -> None:
        """Raise DataError if an image was not found."""
        if self.missing:
            hint = self._hint or f"paths are relative to {self.lookup.base}; or set data.images to their folder"
            raise DataError(f"{self.where}: no such image: {first_of(self.missing)}; {hint}")
