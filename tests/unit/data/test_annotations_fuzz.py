"""Five hundred damaged files of annotations, made from a seed: each is read, or refused in one short clear line."""

from __future__ import annotations

import copy
import json
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from object_files import coco, write_csv, write_voc, write_yolo

from edgetl.data.annotations.find import read_annotations
from edgetl.data.annotations.place import place
from edgetl.errors import EdgetlError
from edgetl.fronts.image.examine import Seen

SEED, PATIENCE_S, LONGEST = 18, 5.0, 900
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
NASTY: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 1e300, -1e300, 10**30, "", "x", "1", "nan", "-inf", "1e999", "9" * 5000, "\x1b[31m"),
    *([], {}, [[]], [1, 2, 3, 4], ["1"] * 4, {"a": 1}, "a" * 5000, "../../a.png", "/etc/passwd", "\u2028", "C:\\a.png"),
)
WORDS = (
    "<",
    ">",
    "&",
    "&a;",
    "<!DOCTYPE a>",
    "\x00",
    "\x1b[31m",
    ",",
    ",,",
    '"',
    " ",
    "\n",
    "nan",
    "1e999",
    "-",
    "9" * 400,
)


def survive(read: Callable[[], Any], folder: Path) -> bool:
    """Whether it was refused, which has to be in one line that begins with a place in the folder."""
    start = time.process_time()
    try:
        found = read()
        for image in found.images:
            placed = place(image, found.unit, found.classes, Seen(*(image.size or (30, 40))))
            assert all(0 <= box.x0 < box.x1 and 0 <= box.y0 < box.y1 for box in placed.boxes)
        refused = False
    except EdgetlError as caught:
        refused = True
        message = str(caught)
        assert message.startswith(str(folder)), message
        assert len(message) < LONGEST + len(str(folder)), message
        assert not CONTROL.search(message), message
    assert time.process_time() - start < PATIENCE_S
    return refused


def damaged(text: str, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(text) + 1)
        length = rng.choice((0, 1, 3, 20))
        text = text[:at] + rng.choice(("", *WORDS)) + text[at + length :]
    raw = bytearray(text.encode())
    if raw and rng.random() < 0.2:
        raw[rng.randrange(len(raw))] = rng.randrange(256)
    return bytes(raw)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


def test_a_coco_file_with_a_nasty_value_somewhere(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    write_csv(tmp_path)  # the images
    path = tmp_path / "objects.json"
    refused = 0
    for _ in range(250):
        content = copy.deepcopy(coco())
        container, key = rng.choice(list(places(content)))
        container[key] = rng.choice(NASTY)
        path.write_text(json.dumps(content))
        refused += survive(lambda: read_annotations(path), tmp_path)
    assert 120 < refused < 250


@pytest.mark.parametrize(
    ("write", "file"),
    [
        (write_csv, "objects.csv"),
        (write_yolo, "labels/a.txt"),
        (write_yolo, "data.yaml"),
        (write_voc, "Annotations/a.xml"),
    ],
)
def test_a_text_file_with_damage(write: Callable[[Path], Path], file: str, tmp_path: Path) -> None:
    rng = random.Random(SEED)
    root = tmp_path / "data"
    root.mkdir()
    named = write(root)
    text = (root / file).read_text()
    refused = 0
    for _ in range(60):
        (root / file).write_bytes(damaged(text, rng))
        refused += survive(lambda: read_annotations(named), root)
    assert refused > 15
    shutil.rmtree(root)


def test_a_coco_file_with_damage(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    write_csv(tmp_path)
    path = tmp_path / "objects.json"
    text = json.dumps(coco(), indent=1)
    refused = 0
    for _ in range(60):
        path.write_bytes(damaged(text, rng))
        refused += survive(lambda: read_annotations(path), tmp_path)
    assert refused > 30
