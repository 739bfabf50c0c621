"""`edgetl check` for `task: detection`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_calls import Shell
from object_files import CLASSES, Object, coco, picture

RECIPE = """
name: animals
task: detection
data: {train: train.json, val: val.json, shots: all}
backbone: {name: mobilenetv2_100, input_size: 320}
targets: [x86-cpu]
"""


def data_set(root: Path, part: str, first: int, count: int = 12) -> dict[str, Any]:
    objects: dict[str, list[Object]] = {}
    for index in range(count):
        picture(root / part / f"{index}.png", first + index)
        name = CLASSES[index % 2]
        objects[str(index)] = [(2.0, 3.0, 14.0 + index % 3, 15.0, name), (20.0, 8.0, 33.0, 20.0 + index % 4, name)]
    content = coco(objects)
    (root / f"{part}.json").write_text(json.dumps(content))
    return content


@pytest.fixture
def root(tmp_path: Path) -> Path:
    data_set(tmp_path, "train", 0)
    data_set(tmp_path, "val", 500)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


def verdicts(found: Any) -> dict[str, str]:
    return {finding["check"]: finding["verdict"] for finding in found["checks"]["findings"]}


def test_sound_data_passes_without_a_network(shell: Shell, root: Path) -> None:
    done = shell("check", root / "recipe.yaml", "--json", "-q")
    assert done.code == 0, done.err
    found = done.json()
    ran = verdicts(found)
    assert {
        name: ran[name] for name in ("copies", "boxes", "outliers", "doubles", "two_classes", "tiny")
    } == dict.fromkeys(("copies", "boxes", "outliers", "doubles", "two_classes", "tiny"), "pass")
    assert (ran["neighbours"], ran["labels"]) == ("not checked", "not checked")
    assert Path(found["checks"]["contact_sheet"]).is_file()


def test_what_is_wrong_with_boxes_is_named(shell: Shell, root: Path) -> None:
    path = root / "train.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = [-9, 3, 23, 12]
    content["annotations"].append({**content["annotations"][4], "id": 99, "bbox": [2.1, 3.1, 14, 12]})
    path.write_text(json.dumps(content))
    done = shell("check", root / "recipe.yaml", "-q")
    assert done.code == 0, done.err
    assert "0.png: annotation 1 (`cat`) lies partly outside of the image; clipped" in done.out
    assert "train/2.png: `cat` and `cat` overlap by" in done.out


def test_an_image_on_both_sides_is_refused(shell: Shell, root: Path) -> None:
    from PIL import Image

    with Image.open(root / "train" / "3.png") as image:
        image.save(root / "val" / "5.png", compress_level=1)
    done = shell("check", root / "recipe.yaml", "-q")
    assert done.code == 1
    assert "1 validation image also among the training images: train/3.png and val/5.png" in done.out


def test_a_malformed_file_is_one_line(shell: Shell, root: Path) -> None:
    path = root / "train.json"
    path.write_text(path.read_text().replace('"category_id": 1', '"category_id": 7', 1))
    shell.refuses(1, ["train.json: annotation 1: category_id 7 is not in `categories`"], "check", root / "recipe.yaml")
