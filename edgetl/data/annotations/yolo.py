"""YOLO: one text file of labels for each image, `class x y width height` as fractions, and `data.yaml`.

The labels of `images/a/b.jpg` are `labels/a/b.txt`: the last folder `images` of the path is replaced; without one they
lie beside the image.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetl.data.annotations.model import Annotated, Annotation, Corners, Finder, Mark, class_name, in_order, number
from edgetl.data.lists import Part, read_text
from edgetl.data.loose import list_examples
from edgetl.data.scan import locate
from edgetl.errors import DataError
from edgetl.files.text import printable, quoted
from edgetl.files.yaml_file import read_yaml_file
from edgetl.fronts.image.decode import SUFFIXES
from edgetl.types import Skipped

IMAGES, LABELS = "images", "labels"
_NAMES = ("data.yaml", "data.yml", "dataset.yaml")
_CLASS_LISTS = ("classes.txt", "labels/classes.txt", "obj.names")
_LARGEST = 2.0  # of a fraction: pixels are refused, boxes partly outside of the image are not
_MOST_LABEL_BYTES = 5_000_000


@dataclass(frozen=True)
class _Set:
    """parts  `train`, `val`, `test` -> folders or lists of images, absolute"""

    where: Path
    classes: tuple[str, ...]
    parts: dict[str, tuple[Path, ...]]
    files: tuple[Path, ...]


def settings_in(folder: Path) -> Path | None:
    """The file with the classes and parts of a folder."""
    return next((folder / name for name in _NAMES if (folder / name).is_file()), None)


def looks_like_yolo(folder: Path) -> bool:
    return settings_in(folder) is not None or all((folder / name).is_dir() for name in (IMAGES, LABELS))


def read_yolo(path: Path, part: Part | None = None) -> Annotated:
    """Read `data.yaml`, a folder that contains it, or a folder with `images/`, `labels/` and `classes.txt`.

    part  "train" and "val" take what `data.yaml` names so ("val" its `test` if there is no `val`); None takes `train`
    An image without labels shows background. Values up to 2 are taken, and what lies outside of the image is clipped
    later. Raises DataError for everything else.
    """
    settings = path if path.is_file() else settings_in(path)
    found = _settings(settings) if settings is not None else _bare(path)
    wanted = "train" if part in (None, "train") else "val" if "val" in found.parts else "test"
    if wanted not in found.parts:
        raise DataError(f"{found.where}: names no validation images; add `val`, or remove data.val from the recipe")
    measures = "val" in found.parts and found.parts["val"] != found.parts.get("train")
    images, lists = _images(found, wanted)
    annotated, labels, unlabeled = [], [], 0
    for image in images:
        label = _labels_of(image)
        marks = _marks(label, found.classes) if label.is_file() else None
        unlabeled += marks is None
        labels += [label] * (marks is not None)
        annotated.append(Annotation(str(image), str(label), marks or ()))
    if not labels:
        raise DataError(f"{found.where}: none of {len(images)} images has labels; expected {_labels_of(images[0])}")
    notes = [f"{unlabeled} of {len(images)} images have no file of labels: taken as background"] if unlabeled else []
    root, ordered = in_order(annotated)
    files = tuple(str(each) for each in (*found.files, *lists, *labels))
    return Annotated(
        str(found.where), root, found.classes, ordered, "fractions", files, _orphans(labels), tuple(notes), measures
    )


def _settings(path: Path) -> _Set:
    content = read_yaml_file(path, "the settings of a YOLO data set")
    if not isinstance(content, dict) or "names" not in content or "train" not in content:
        raise DataError(f"{path}: expected the keys `train` and `names` of a YOLO data set")
    classes = _classes(path, content["names"])
    count = content.get("nc", len(classes))
    if count != len(classes):
        raise DataError(f"{path}: nc: expected the number of names, {len(classes)}; found {quoted(count)}")
    base = path.parent
    if content.get("path") is not None:
        stated = locate(base, _text(path, "path", content["path"]))
        base = stated if stated.is_dir() else base
    parts = {
        name: tuple(_place(path, name, base, each) for each in _list(content[name]))
        for name in ("train", "val", "test")
        if content.get(name)
    }
    return _Set(path, classes, parts, (path,))


def _bare(folder: Path) -> _Set:
    """Without settings of its own: the classes are in a list, or in the settings of the folder above."""
    names = next((folder / name for name in _CLASS_LISTS if (folder / name).is_file()), None)
    above = settings_in(folder.parent)
    if names is not None:
        listed = [line.strip() for line in read_text(names).splitlines() if line.strip()]
        classes = _classes(names, listed)
    elif above is not None:
        names, classes = above, _settings(above).classes
    else:
        raise DataError(f"{folder}: expected `data.yaml` or `classes.txt` with the names of the classes; add one")
    parts = {name: (folder / IMAGES / name,) for name in ("train", "val", "test") if (folder / IMAGES / name).is_dir()}
    whole: dict[str, tuple[Path, ...]] = {"train": (folder / IMAGES,)}
    return _Set(folder, classes, dict(parts) if "train" in parts else whole, (names,))


def _classes(path: Path, names: object) -> tuple[str, ...]:
    if isinstance(names, dict):
        if sorted(map(str, names)) != sorted(str(index) for index in range(len(names))):
            raise DataError(f"{path}: names: expected the numbers 0 to {len(names) - 1} as keys")
        names = [names[key] for key in sorted(names, key=int)]
    if not isinstance(names, list) or not names:
        raise DataError(f"{path}: names: expected a list of classes, found {quoted(names)}")
    found = tuple(class_name(str(name), f"{path}: class {index}") for index, name in enumerate(names))
    repeated = next((name for name in found if found.count(name) > 1), None)
    if repeated is not None:
        raise DataError(f"{path}: names: `{repeated}` occurs twice; every class needs a name of its own")
    return found


def _place(path: Path, key: str, base: Path, value: object) -> Path:
    """Some tools write `../train/images` although the folder lies beside the file."""
    text = _text(path, key, value)
    tried = [locate(base, text), locate(path.parent, text), locate(path.parent, text.removeprefix("../"))]
    found = next((place for place in tried if place.exists()), None)
    if found is None:
        raise DataError(f"{path}: {key}: no such folder or list of images: {tried[0]}")
    return found


def _images(found: _Set, part: str) -> tuple[list[Path], list[Path]]:
    """The images of a part, each once, and the lists that name them."""
    images: dict[Path, None] = {}
    lists = [place for place in found.parts[part] if place.is_file()]
    for place in found.parts[part]:
        inside = _listed(place) if place.is_file() else [Path(path) for path in list_examples(place).paths]
        for image in inside:
            if image in images:
                raise DataError(f"{found.where}: {part}: {image} is listed twice; keep one")
            images[image] = None
    if not images:
        raise DataError(f"{found.where}: {part}: expected images, found none")
    return list(images), lists


def _listed(path: Path) -> list[Path]:
    finder = Finder(path, path.parent, None)
    lines = [(line.strip(), count) for count, line in enumerate(read_text(path).splitlines(), start=1)]
    found = [finder.find(line, f"line {count}") for line, count in lines if line]
    finder.refuse_missing()
    return [Path(target) for target in found if target is not None]


def _labels_of(image: Path) -> Path:
    parts = list(image.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == IMAGES:
            parts[place] = LABELS
            break
    return Path(*parts).with_suffix(".txt")


def _marks(path: Path, classes: Sequence[str]) -> tuple[Mark, ...]:
    if path.stat().st_size > _MOST_LABEL_BYTES:
        raise DataError(f"{path}: larger than {_MOST_LABEL_BYTES} bytes; expected the labels of one image")
    lines = enumerate(read_text(path).splitlines(), start=1)
    return tuple(_mark(path, count, line.split(), classes) for count, line in lines if line.strip())


def _mark(path: Path, count: int, words: list[str], classes: Sequence[str]) -> Mark:
    where = f"{path}, line {count}"
    if len(words) != 5:
        polygon = "; polygons are not read, export boxes" if len(words) > 6 else ""
        raise DataError(f"{where}: expected `class x y width height`, found {len(words)} values{polygon}")
    if not words[0].isascii() or not words[0].isdigit() or int(words[0][:9]) >= len(classes):
        raise DataError(f"{where}: expected the number of a class, 0 to {len(classes) - 1}; found {quoted(words[0])}")
    x, y, width, height = (number(word, where) for word in words[1:])
    if min(width, height) < 0:
        raise DataError(f"{where}: expected a width and a height of at least 0, found {min(width, height):g}")
    if max(map(abs, (x, y, width, height))) > _LARGEST:
        raise DataError(f"{where}: expected fractions of the image's sides, found {max(x, y, width, height):g}; "
                        "divide pixels by the width and height")  # fmt: skip
    corners: Corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return Mark(f"{path.name}: line {count}", corners, int(words[0]))


def _orphans(labels: Sequence[Path]) -> tuple[Skipped, ...]:
    """Label files without an image."""
    known, skipped = set(labels), []
    for folder in sorted({path.parent for path in labels}):
        others = [path for path in sorted(folder.glob("*.txt")) if path not in known and path.name not in _CLASS_LISTS]
        skipped += [Skipped(printable(str(path)), "labels without an image") for path in others if not _has_image(path)]
    return tuple(skipped)


def _has_image(label: Path) -> bool:
    parts = list(label.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == LABELS:
            parts[place] = IMAGES
            break
    stem = os.path.splitext(str(Path(*parts)))[0]  # noqa: PTH122 - names with dots
    return any(Path(stem + suffix).exists() for suffix in SUFFIXES)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _text(path: Path, key: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or printable(value) != value:
        raise DataError(f"{path}: {key}: expected a path, found {quoted(value)}")
    return value.strip()
