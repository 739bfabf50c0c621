"""COCO: one JSON file with `images`, `annotations` and `categories` (https://cocodataset.org/#format-data)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgetl.data.annotations.model import (
    Annotated,
    Annotation,
    Corners,
    Finder,
    Mark,
    class_name,
    corners_of,
    file_name,
    in_order,
    is_whole,
    number,
)
from edgetl.data.lookup import Lookup
from edgetl.data.names import in_quotes
from edgetl.errors import DataError
from edgetl.files.json_file import read_json_value
from edgetl.files.text import nearest, printable, quoted

MAX_BYTES = 1_000_000_000
_PARTS = ("images", "annotations", "categories")
_HEAD = re.compile(rb'"(?:images|annotations|categories)"\s*:\s*\[')
_HEAD_BYTES = 65536
_ID_CHARACTERS = 100
_PREFIX = re.compile(r"^(?:instances|annotations|boxes|coco)[_-]+|[_-]+(?:annotations|coco)$|\.coco$")

Id = int | str


def looks_like_coco(path: Path) -> bool:
    """Whether a JSON file begins like one, by its first 64 KiB."""
    try:
        with path.open("rb") as file:
            return bool(_HEAD.search(file.read(_HEAD_BYTES)))
    except OSError:
        return False


def read_coco(path: Path, images: Path | None = None) -> Annotated:
    """Read a COCO file. `images` is the folder in which images are looked up by the last parts of their names.

    Without it, names are relative to the file's folder, or to a folder of images beside it: `train.json` and `train/`,
    `annotations/instances_train.json` and `images/train/`. The corners of a `bbox` are in pixels of the upright image.
    `iscrowd` and `ignore` make ignored regions. Segmentations and ids of annotations are not used. Images without
    annotations show background. Raises DataError for everything else.
    """
    content = read_json_value(path, most_bytes=MAX_BYTES, what="a COCO file")
    parts = [content.get(name) if isinstance(content, dict) else None for name in _PARTS]
    if not all(isinstance(part, list) for part in parts):
        absent = [name for name, part in zip(_PARTS, parts, strict=True) if not isinstance(part, list)]
        raise DataError(f"{path}: expected a COCO file with the lists `images`, `annotations` and `categories`; "
                        f"{in_quotes(absent)} {'is' if len(absent) == 1 else 'are'} missing")  # fmt: skip
    listed, annotations, categories = parts
    assert listed is not None
    assert annotations is not None
    assert categories is not None
    names = _categories(path, categories)
    used = {
        entry["category_id"] for entry in annotations if isinstance(entry, dict) and _is_id(entry.get("category_id"))
    }
    names, dropped = _without_parents(names, categories, used)
    labels = {key: label for label, key in enumerate(names)}
    entries = _images(path, listed)
    if not entries:
        raise DataError(f"{path}: expected images, found an empty list `images`")
    marks = _marks(path, annotations, entries, labels)
    found = _locate(path, entries, images)
    annotated = [
        Annotation(found[key], str(path), tuple(marks[key]), _size(path, key, entry)) for key, entry in entries.items()
    ]
    root, ordered = in_order(annotated)
    notes = [
        f"{in_quotes([name])} is only the parent of other categories and has no boxes: no class" for name in dropped
    ]
    return Annotated(str(path), root, tuple(names.values()), ordered, "pixels", (str(path),), notes=tuple(notes))


def _categories(path: Path, categories: list[Any]) -> dict[Id, str]:
    """Names by id, in the order of the ids."""
    names: dict[Id, str] = {}
    for place, entry in enumerate(categories):
        key = _id(entry, "id", f"{path}: category at position {place}")
        where = f"{path}: category {key}"
        name = class_name(entry.get("name"), where)
        if key in names:
            raise DataError(f"{where}: the id occurs twice, for `{names[key]}` and `{name}`; keep one")
        if name in names.values():
            raise DataError(f"{where}: the name `{name}` occurs twice; keep one category and change its annotations")
        names[key] = name
    if not names:
        raise DataError(f"{path}: expected categories, found an empty list `categories`")
    return dict(sorted(names.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def _without_parents(names: dict[Id, str], categories: list[Any], used: set[Any]) -> tuple[dict[Id, str], list[str]]:
    """Some tools add a category without boxes that is the `supercategory` of all others."""
    parents = {entry.get("supercategory") for entry in categories if isinstance(entry.get("supercategory"), str)}
    own = {entry["id"]: entry.get("supercategory") for entry in categories}
    dropped = [key for key, name in names.items() if name in parents and key not in used and own[key] != name]
    if len(dropped) == len(names):
        return names, []
    return {key: name for key, name in names.items() if key not in dropped}, [names[key] for key in dropped]


def _images(path: Path, listed: list[Any]) -> dict[Id, dict[str, Any]]:
    entries: dict[Id, dict[str, Any]] = {}
    by_name: dict[str, Id] = {}
    for place, entry in enumerate(listed):
        key = _id(entry, "id", f"{path}: image at position {place}")
        if key in entries:
            raise DataError(f"{path}: image {key}: the id occurs twice; give each image its own")
        name = file_name(entry.get("file_name"), f"{path}: image {key}: file_name")
        if name in by_name:
            raise DataError(f"{path}: image {key}: `{name}` is listed twice, also as image {by_name[name]}; keep one")
        entries[key], by_name[name] = entry, key
    return entries


def _marks(
    path: Path,
    annotations: list[Any],
    entries: dict[Id, dict[str, Any]],
    labels: dict[Id, int],
) -> dict[Id, list[Mark]]:
    marks: dict[Id, list[Mark]] = {key: [] for key in entries}
    for place, entry in enumerate(annotations):
        named = f"annotation {entry['id']}" if isinstance(entry, dict) and _is_id(entry.get("id")) else ""
        named = named or f"annotation at position {place}"
        where = f"{path}: {named}"
        image, category = (_id(entry, key, where) for key in ("image_id", "category_id"))
        if image not in marks:
            raise DataError(f"{where}: image_id {quoted(image)} is not in `images`; add the image or remove it")
        if category not in labels:
            raise DataError(f"{where}: category_id {quoted(category)} is not in `categories`; "
                            f"{nearest(str(category), map(str, labels))}")  # fmt: skip
        ignore = any(_flag(entry, key, where) for key in ("iscrowd", "ignore"))
        marks[image].append(Mark(named, _corners(entry.get("bbox"), f"{where}: bbox"), labels[category], ignore))
    return marks


def _corners(bbox: object, where: str) -> Corners:
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise DataError(f"{where}: expected [x, y, width, height], found {quoted(bbox)}")
    x, y, width, height = (number(_no_text(value, where), where) for value in bbox)
    return corners_of((x, y, x + width, y + height), where)


def _no_text(value: object, where: str) -> object:
    if isinstance(value, str):
        raise DataError(f"{where}: expected a number, found the text {quoted(value)}")
    return value


def _flag(entry: dict[str, Any], key: str, where: str) -> bool:
    value = entry.get(key, 0)
    if value not in (0, 1) or isinstance(value, float):
        raise DataError(f"{where}: {key}: expected 0 or 1, found {quoted(value)}")
    return bool(value)


def _size(path: Path, key: Id, entry: dict[str, Any]) -> tuple[int, int] | None:
    """(height, width); None if it is not stated, which some tools do by zeros."""
    sides = [entry.get(name) or 0 for name in ("height", "width")]
    for side in sides:
        if not isinstance(side, (int, float)) or isinstance(side, bool) or not is_whole(side) or side < 0:
            raise DataError(f"{path}: image {key}: expected its width and height in pixels, found {quoted(side)}")
    return (int(sides[0]), int(sides[1])) if all(sides) else None


def _locate(path: Path, entries: dict[Id, dict[str, Any]], images: Path | None) -> dict[Id, str]:
    first = next(iter(entries.values()))["file_name"]
    bases = [path.parent] if images is not None else [base for base in _bases(path) if base.is_dir()]
    base = next((base for base in bases if Lookup(base, None).find(first)), path.parent)
    finder = Finder(path, base, images)
    found = {key: finder.find(entry["file_name"].strip(), f"image {key}") for key, entry in entries.items()}
    finder.refuse_missing()
    paths: dict[Id, str] = {key: target for key, target in found.items() if target is not None}
    _refuse_twice(path, paths)
    return paths


def _refuse_twice(path: Path, found: dict[Id, str]) -> None:
    seen: dict[str, Id] = {}
    for key, target in found.items():
        if target in seen:
            raise DataError(f"{path}: image {key}: {target} is listed twice, also as image {seen[target]}; keep one")
        seen[target] = key


def _bases(path: Path) -> Iterator[Path]:
    """Folders in which the names of images may start."""
    stem = _PREFIX.sub("", path.stem)
    for folder in (path.parent, path.parent.parent):
        yield from (folder, folder / path.stem, folder / stem, folder / "images" / stem, folder / "images")


def _id(entry: object, key: str, where: str) -> Id:
    if not isinstance(entry, dict):
        raise DataError(f"{where}: expected an object with keys, found {quoted(entry)}")
    value = entry.get(key)
    if isinstance(value, (int, str)) and _is_id(value):
        return value
    raise DataError(f"{where}: {key}: expected a whole number, found {quoted(value) if key in entry else 'nothing'}")


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= _ID_CHARACTERS and printable(value) == value
    return isinstance(value, int) and not isinstance(value, bool)
