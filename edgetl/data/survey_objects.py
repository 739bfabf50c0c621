"""Surveys labeled objects before there is a recipe: formats, parts, classes, counts, sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgetl.data.annotations.coco import looks_like_coco
from edgetl.data.annotations.find import formats_in, read_annotations
from edgetl.data.annotations.model import Annotated
from edgetl.data.annotations.table import has_header
from edgetl.data.lists import Part, part_of, without_part
from edgetl.data.names import in_quotes, warnings_about
from edgetl.data.object_sources import with_classes
from edgetl.data.scan import locate
from edgetl.errors import DataError, UsageError
from edgetl.files.text import printable
from edgetl.fronts.image.decode import UnreadableImage, read_size

_LOOKED_AT = 200


@dataclass(frozen=True)
class ObjectSurvey:
    """The result of a survey.

    sizes   of some images as (height, width)
    sides   of the objects in those images, as shares of the image: the square root of the share of its area
    images  folder in which the images are found by the last parts of their names, if their paths are invalid
    notes   one sentence per oddity or useful fact
    """

    train_path: Path
    val_path: Path | None
    train: Annotated
    val: Annotated | None
    sizes: tuple[tuple[int, int], ...]
    sides: tuple[float, ...]
    images: Path | None
    notes: tuple[str, ...]


def has_annotations(root: Path) -> bool:
    """Whether a file is one of annotations, or a folder contains some in a known layout."""
    if root.is_file():
        return _is_file_of_objects(root)
    return root.is_dir() and bool(_found_in(locate(Path(), str(root))))


def survey_objects(root: Path) -> ObjectSurvey:
    """Look at a file of annotations, or a folder with some, also with parts `train` and `val`.

    Opens only the headers of images. Raises UsageError for a missing folder, DataError for unusable data and for a
    folder in which it is not clear what is for training.
    """
    root = locate(Path(), str(root))
    train_path, val_path, unused = _sides(root)
    train, images = _read(train_path, "train")
    if not any(train.objects()):
        raise DataError(f"{train.where}: expected labeled objects, found none in {len(train.images)} images")
    if val_path is None and train.measures:
        val_path = train_path
    val = None
    if val_path is not None:
        found = read_annotations(val_path, part="val" if val_path == train_path else None, images=images)
        val = with_classes(found, train.classes, train.where)
    sizes, sides, broken = _sizes(train)
    notes = [*train.notes, *warnings_about(train.classes), *_about(train, images, broken), *unused]
    return ObjectSurvey(train_path, val_path, train, val, sizes, sides, images, tuple(notes))


def _sides(root: Path) -> tuple[Path, Path | None, list[str]]:
    """The training and the validation part, and a sentence about what is not used."""
    if root.is_file():
        return root, _twin(root), []
    if not root.is_dir():
        raise UsageError(f"{root}: no such file or folder")
    found = _found_in(root)
    if len(found) == 1:
        return next(iter(found.values())), None, []
    by_part: dict[Part, list[Path]] = {}
    for name, place in found.items():
        part = part_of(name)
        if part is not None:
            by_part.setdefault(part, []).append(place)
    train, val, test = (by_part.get(part, []) for part in ("train", "val", "test"))
    if len(train) != 1 or len(val or test) > 1:
        raise DataError(
            f"{root}: contains {in_quotes(found) or 'no annotations'}; it is not clear what is for training: "
            "run edgetl new with that file or folder"
        )
    rest = [place for place in (*val, *test) if place not in (val or test)]
    unused = [f"{place.name} is not used; evaluate the finished bundle on it" for place in rest]
    return train[0], next(iter(val or test), None), unused


def _twin(path: Path) -> Path | None:
    """The validation file beside a training file: the one whose name differs only in the part."""
    if part_of(path.name) != "train":
        return None
    others = [place for name, place in formats_in(path.parent).items() if part_of(name) == "val" and place.is_file()]
    twins = [place for place in others if without_part(place.name) == without_part(path.name)]
    return twins[0] if len(twins) == 1 else None


def _found_in(root: Path) -> dict[str, Path]:
    """Annotations in a folder, or in its folders `train`, `val` and `annotations`: name -> place."""
    found = formats_in(root)
    if found:
        return found
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    for folder in folders:
        inside = formats_in(folder)
        if folder.name.lower() == "annotations":
            found |= {name: place for name, place in inside.items() if place.is_file()}
        elif part_of(folder.name) and len(inside) == 1:
            found[folder.name] = next(iter(inside.values()))
    return found


def _is_file_of_objects(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return looks_like_coco(path)
    return suffix in (".yaml", ".yml") or (suffix == ".csv" and has_header(path))


def _read(path: Path, part: Part) -> tuple[Annotated, Path | None]:
    """The annotations, and the folder in which their images are found if their paths are invalid."""
    try:
        return read_annotations(path, part=part), None
    except DataError:
        if not path.is_file():
            raise
        try:
            return read_annotations(path, part=part, images=path.parent), path.parent
        except DataError:
            pass
        raise


def _sizes(train: Annotated) -> tuple[tuple[tuple[int, int], ...], tuple[float, ...], list[str]]:
    sizes: list[tuple[int, int]] = []
    sides: list[float] = []
    broken: list[str] = []
    for image in train.images[:: max(1, len(train.images) // _LOOKED_AT)]:
        try:
            height, width = read_size(Path(image.path))
        except UnreadableImage as error:
            broken.append(f"{Path(image.path).name}: {error.reason}")
            continue
        sizes.append((height, width))
        area = 1 if train.unit == "fractions" else height * width
        corners = [mark.corners for mark in image.marks if not mark.ignore]
        sides += [((x1 - x0) * (y1 - y0) / area) ** 0.5 for x0, y0, x1, y1 in corners]
    if not sizes:
        raise DataError(f"{train.where}: none of {len(broken)} examined images can be opened: {broken[0]}")
    return tuple(sizes), tuple(sides), broken


def _about(train: Annotated, images: Path | None, broken: list[str]) -> list[str]:
    sentences = []
    if images is not None:
        sentences.append(f"images are looked up below {images} by the last parts of their names")
    absent = [name for name, count in zip(train.classes, train.objects(), strict=True) if not count]
    if absent:
        sentences.append(f"no object of {in_quotes(absent)} in the training part: it cannot be learned")
    reasons: Mapping[str, int] = Counter(skipped.reason for skipped in train.skipped)
    sentences += [f"{count} files skipped: {reason}" for reason, count in reasons.items()]
    if broken:
        sentences.append(f"{len(broken)} of the examined images cannot be opened, for example {printable(broken[0])}")
    return sentences
