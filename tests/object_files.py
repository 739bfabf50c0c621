"""Small annotated data sets in every format, the same objects in each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ("cat", "dog")
Object = tuple[float, float, float, float, str]
"""x0, y0, x1, y1 in pixels, and the class."""
OBJECTS: dict[str, list[Object]] = {
    "a": [(2, 3, 12, 13, "cat"), (20, 4, 38, 28, "dog")],
    "b": [(0, 0, 40, 30, "dog")],
    "c": [],
}
WIDTH, HEIGHT = 40, 30


def picture(path: Path, seed: int = 0, *, width: int = WIDTH, height: int = HEIGHT, exif: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8))
    tags = Image.Exif()
    tags[0x0112] = exif
    image.save(path, exif=tags)
    return path


def pictures(folder: Path, names: Sequence[str] = tuple(OBJECTS)) -> None:
    for seed, name in enumerate(names):
        picture(folder / f"{name}.png", seed + 1000 * sum(map(ord, name)))


def coco(objects: Mapping[str, Sequence[Object]] = OBJECTS, classes: Sequence[str] = CLASSES) -> dict[str, Any]:
    names = list(objects)
    images = [
        {"id": number, "file_name": f"{name}.png", "width": WIDTH, "height": HEIGHT}
        for number, name in enumerate(names, start=1)
    ]
    annotations = [
        {
            "image_id": number,
            "category_id": classes.index(each[4]) + 1,
            "bbox": [each[0], each[1], each[2] - each[0], each[3] - each[1]],
            "iscrowd": 0,
        }
        for number, name in enumerate(names, start=1)
        for each in objects[name]
    ]
    numbered = [{"id": number, **each} for number, each in enumerate(annotations, start=1)]
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, start=1)]
    return {"images": images, "annotations": numbered, "categories": categories}


def write_coco(root: Path, content: object | None = None, *, part: str = "train") -> Path:
    """`train.json` beside the folder `train` of images."""
    pictures(root / part)
    path = root / f"{part}.json"
    path.write_text(json.dumps(coco() if content is None else content))
    return path


def write_csv(root: Path, text: str | None = None) -> Path:
    pictures(root)
    rows = [f"{name}.png,{','.join(map(str, each))}" for name, listed in OBJECTS.items() for each in listed]
    path = root / "objects.csv"
    path.write_text("\n".join(["path,x0,y0,x1,y1,label", *rows, "c.png,,,,,"]) if text is None else text)
    return path


def yolo_line(each: Object) -> str:
    x0, y0, x1, y1, name = each
    values = ((x0 + x1) / 2 / WIDTH, (y0 + y1) / 2 / HEIGHT, (x1 - x0) / WIDTH, (y1 - y0) / HEIGHT)
    return f"{CLASSES.index(name)} {' '.join(map(repr, values))}"


def write_yolo(root: Path, settings: str = "train: images\nnames: [cat, dog]\n") -> Path:
    pictures(root / "images")
    (root / "labels").mkdir(exist_ok=True)
    for name, listed in OBJECTS.items():
        (root / "labels" / f"{name}.txt").write_text("\n".join(map(yolo_line, listed)))
    path = root / "data.yaml"
    path.write_text(settings)
    return path


def voc_document(name: str, listed: Sequence[Object], extra: str = "") -> str:
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    objects = "".join(
        f"<object><name>{each[4]}</name><difficult>0</difficult><bndbox><xmin>{each[0]}</xmin><ymin>{each[1]}</ymin>"
        f"<xmax>{each[2]}</xmax><ymax>{each[3]}</ymax></bndbox></object>"
        for each in listed
    )
    return f"<annotation><filename>{name}.png</filename>{size}{objects}{extra}</annotation>"


def write_voc(root: Path) -> Path:
    pictures(root / "JPEGImages")
    (root / "Annotations").mkdir(exist_ok=True)
    for name, listed in OBJECTS.items():
        (root / "Annotations" / f"{name}.xml").write_text(voc_document(name, listed))
    return root
