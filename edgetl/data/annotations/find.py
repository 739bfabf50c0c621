"""Which format of annotations a file or folder has, and reading it."""

from __future__ import annotations

from pathlib import Path

from edgetl.data.annotations.coco import looks_like_coco, read_coco
from edgetl.data.annotations.model import Annotated
from edgetl.data.annotations.table import has_header, read_table
from edgetl.data.annotations.voc import looks_like_voc, read_voc
from edgetl.data.annotations.yolo import looks_like_yolo, read_yolo
from edgetl.data.lists import Part
from edgetl.data.names import in_quotes
from edgetl.data.scan import locate
from edgetl.errors import DataError, UsageError
from edgetl.files.file_kind import describe
from edgetl.files.text import printable

FORMATS = "a COCO file (.json), a CSV list, a YOLO data.yaml, or a folder of YOLO or Pascal VOC labels"


def read_annotations(root: Path, *, part: Part | None = None, images: Path | None = None) -> Annotated:
    """Read labeled objects: a COCO file, a CSV list, a YOLO `data.yaml`, or a folder in one of the known layouts.

    part    of a data set that names its own parts (YOLO, Pascal VOC); None takes all, of YOLO the training part
    images  `data.images`: the folder in which images are looked up by the last parts of their names
    Raises UsageError if `root` does not exist, and DataError for everything else, naming the file and the object.
    """
    root = locate(Path(), str(root))
    if printable(str(root)) != str(root):
        raise DataError(f"{printable(str(root))}: the path holds control characters or is not UTF-8; rename it")
    if not root.exists():
        raise UsageError(f"{root}: no such file or folder; expected {FORMATS} (in a recipe: `data.train`, `data.val`)")
    try:
        return _read_folder(root, part, images) if root.is_dir() else _read_file(root, part, images)
    except OSError as error:
        raise DataError(f"{error.filename or root}: cannot be read: {error.strerror}") from error


def formats_in(folder: Path) -> dict[str, Path]:
    """The annotations directly in a folder: what each is called, and where it is."""
    found: dict[str, Path] = {}
    if looks_like_yolo(folder):
        found["YOLO"] = folder
    if looks_like_voc(folder):
        found["Pascal VOC"] = folder
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    for path in files:
        if path.suffix.lower() == ".json" and looks_like_coco(path):
            found[path.name] = path
        if path.suffix.lower() == ".csv" and has_header(path):
            found[path.name] = path
    return found


def _read_folder(folder: Path, part: Part | None, images: Path | None) -> Annotated:
    found = formats_in(folder)
    if not found:
        raise DataError(f"{folder}: found no annotations; expected {FORMATS}")
    if len(found) > 1:
        raise DataError(f"{folder}: contains {in_quotes(found)}; name one of them as data.train or data.val")
    name, place = next(iter(found.items()))
    if name == "YOLO":
        return read_yolo(place, part)
    return read_voc(place, part, images) if name == "Pascal VOC" else _read_file(place, part, images)


def _read_file(path: Path, part: Part | None, images: Path | None) -> Annotated:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return read_coco(path, images)
    if suffix == ".csv":
        return read_table(path, images)
    if suffix in (".yaml", ".yml"):
        return read_yolo(path, part)
    raise DataError(f"{path}: expected {FORMATS}; found {describe(path).name}")
