"""Pascal VOC: one XML file for each image, beside it or in `Annotations/` with the images in `JPEGImages/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgetl.data.annotations.model import (
    Annotated,
    Annotation,
    Mark,
    class_name,
    corners_of,
    in_order,
    is_whole,
    number,
)
from edgetl.data.lists import Part
from edgetl.data.lookup import MAX_LOOKED_AT
from edgetl.data.names import in_quotes
from edgetl.data.scan import natural_key
from edgetl.errors import DataError
from edgetl.files.text import printable, quoted
from edgetl.files.xml_file import Element, read_xml
from edgetl.fronts.image.decode import SUFFIXES
from edgetl.types import Skipped

LABELS, IMAGES, SETS = "Annotations", ("JPEGImages", "images", "."), Path("ImageSets", "Main")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def looks_like_voc(folder: Path) -> bool:
    return (folder / LABELS).is_dir() or any(_documents(folder))


def read_voc(folder: Path, part: Part | None = None, images: Path | None = None) -> Annotated:
    """Read a folder. The image of `a.xml` is `a.jpg` (or another suffix), else the one that it names.

    Corners are edges in pixels of the upright image, as written: nothing is subtracted. `difficult` makes an ignored
    region; `truncated` and `occluded` objects count. A file without objects shows background; an image without a file
    is skipped. Classes are the names that occur. With `ImageSets/Main/train.txt` and `val.txt` a part is what they
    list. Raises DataError for everything else.
    """
    labels = folder / LABELS if (folder / LABELS).is_dir() else folder
    documents = sorted(_documents(labels), key=lambda path: natural_key(path.name))
    if not documents:
        raise DataError(f"{labels}: expected one XML file for each image, found none")
    wanted, lists = _part(folder, part)
    if wanted is not None:
        documents = [path for path in documents if path.stem in wanted]
        absent = sorted(wanted - {path.stem for path in documents}, key=natural_key)
        if absent:
            raise DataError(f"{lists[0]}: no file {labels}/{printable(absent[0])}.xml; add it or remove the line")
    pictures = _pictures(images or next((folder / name for name in IMAGES if (folder / name).is_dir()), folder))
    roots = [read_xml(path, "a Pascal VOC file") for path in documents]
    named = [
        [_name(path, element) for element in root.all("object")] for path, root in zip(documents, roots, strict=True)
    ]
    classes = tuple(sorted({name for names in named for name in names}, key=natural_key))
    annotated = []
    for path, root, names in zip(documents, roots, named, strict=True):
        marks = [
            _mark(path, place, element, classes.index(name))
            for place, (element, name) in enumerate(zip(root.all("object"), names, strict=True), start=1)
        ]
        annotated.append(Annotation(_picture(path, root, pictures), str(path), tuple(marks), _size(path, root)))
    _refuse_twice(annotated)
    known = {each.path for each in annotated}
    without = [path for paths in pictures.values() for path in paths if path not in known]
    skipped = () if wanted is not None else tuple(Skipped(path, "no annotation file") for path in sorted(without))
    where, ordered = in_order(annotated)
    files = (*(str(path) for path in documents), *map(str, lists))
    return Annotated(str(folder), where, classes, ordered, "pixels", files, skipped, measures=_has_parts(folder))


def _documents(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*.xml") if not path.name.startswith("."))


def _has_parts(folder: Path) -> bool:
    return all((folder / SETS / f"{name}.txt").is_file() for name in ("train", "val"))


def _part(folder: Path, part: Part | None) -> tuple[set[str] | None, list[Path]]:
    if part is None or not _has_parts(folder):
        return None, []
    path = folder / SETS / f"{part}.txt"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: expected one name of an image per line; it cannot be read: {error}") from error
    names = {line.split()[0] for line in lines if line.strip()}
    if not names:
        raise DataError(f"{path}: expected one name of an image per line, found none")
    return names, [path]


def _pictures(folder: Path) -> dict[str, list[str]]:
    """Paths of the images by their names without suffix."""
    found: dict[str, list[str]] = {}
    for count, path in enumerate(sorted(folder.iterdir())):
        if count > MAX_LOOKED_AT:
            raise DataError(f"{folder}: more than {MAX_LOOKED_AT} files")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and printable(path.name) == path.name:
            found.setdefault(path.stem, []).append(str(path))
    return found


def _picture(path: Path, root: Element, pictures: dict[str, list[str]]) -> str:
    stated = [element.text.strip() for element in root.all("filename")]
    name = stated[0].replace("\\", "/").rpartition("/")[2] if stated else ""
    candidates = pictures.get(path.stem, []) or pictures.get(Path(name).stem, [])
    exact = [each for each in candidates if Path(each).name == name]
    chosen = exact or candidates
    if not chosen:
        where = f"`{path.stem}` with the suffix of an image" + (f" or `{printable(name)}`" if name else "")
        raise DataError(f"{path}: no such image: expected {where} beside the XML files or in {IMAGES[0]}/; "
                        "add the image or remove the file")  # fmt: skip
    if len(chosen) > 1:
        raise DataError(f"{path}: several images match: {in_quotes(Path(each).name for each in chosen)}; keep one")
    return chosen[0]


def _refuse_twice(annotated: list[Annotation]) -> None:
    seen: dict[str, str] = {}
    for each in annotated:
        if each.path in seen:
            raise DataError(f"{each.source}: {each.path} is also the image of {seen[each.path]}; keep one of the files")
        seen[each.path] = each.source


def _name(path: Path, element: Element) -> str:
    return class_name(_only(path, element, "name"), f"{path}: line {element.line}: name")


def _mark(path: Path, place: int, element: Element, label: int) -> Mark:
    where = f"{path}: object {place}"
    boxes = element.all("bndbox")
    if len(boxes) != 1:
        raise DataError(f"{where}: expected one `bndbox`, found {len(boxes) or 'none'}")
    values = [number(_only(path, boxes[0], name), f"{where}: {name}") for name in _CORNERS]
    flag = element.all("difficult")
    ignore = flag[0].text.strip() if flag else "0"
    if ignore not in ("0", "1", ""):
        raise DataError(f"{where}: difficult: expected 0 or 1, found {quoted(ignore)}")
    return Mark(f"{path.name}: object {place}", corners_of(values, where), label, ignore == "1")


def _only(path: Path, element: Element, name: str) -> str:
    found = element.all(name)
    if len(found) != 1:
        raise DataError(f"{path}: line {element.line}: expected one `{name}` in `{element.name}`, found "
                        f"{len(found) or 'none'}")  # fmt: skip
    return found[0].text.strip()


def _size(path: Path, root: Element) -> tuple[int, int] | None:
    """(height, width); None if it is not stated, which some tools do by zeros."""
    if root.name != "annotation":
        raise DataError(
            f"{path}: expected a Pascal VOC file, whose root is `annotation`; found `{printable(root.name)}`"
        )
    stated = root.all("size")
    if not stated:
        return None
    sides = [number(_only(path, stated[0], name), f"{path}: size: {name}") for name in ("height", "width")]
    if not all(is_whole(side) and side >= 0 for side in sides):
        raise DataError(f"{path}: size: expected whole numbers of pixels, found {sides[1]:g}x{sides[0]:g}")
    return (int(sides[0]), int(sides[1])) if all(sides) else None
