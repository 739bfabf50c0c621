from __future__ import annotations

from pathlib import Path

import pytest
from object_files import coco, write_coco, write_yolo

from edgetl.data.labeled import labeled_objects
from edgetl.errors import DataError


def test_labels_are_those_of_the_owner(tmp_path: Path) -> None:
    found = labeled_objects(write_coco(tmp_path), ("owl", "dog", "cat"), "the bundle")
    assert {Path(each.path).stem: [box.label for box in each.boxes] for each in found.samples} == {
        "a": [2, 1],
        "b": [1],
        "c": [],
    }
    assert found.without == ("owl",)
    assert found.notes() == ("no objects of `owl`: AP covers only the other classes",)


def test_the_validation_part_of_a_data_set_is_read(tmp_path: Path) -> None:
    path = write_yolo(tmp_path, "train: nowhere\nval: images\nnames: [cat, dog]\n")
    (tmp_path / "nowhere").mkdir()
    assert len(labeled_objects(path, ("cat", "dog"), "the bundle").samples) == 3


def test_other_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`cat` is not a class of the bundle; valid are: dog"):
        labeled_objects(write_coco(tmp_path), ("dog",), "the bundle")


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    content = coco()
    content["annotations"][2]["bbox"] = [90, 90, 5, 5]
    path = write_coco(tmp_path, content)
    (tmp_path / "train" / "c.png").write_bytes(b"no image")
    found = labeled_objects(path, ("cat", "dog"), "the bundle")
    assert [Path(each.path).stem for each in found.samples] == ["a"]
    assert [Path(each.path).stem for each in found.skipped] == ["b", "c"]
    (tmp_path / "train" / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="found none that is usable"):
        labeled_objects(path, ("cat", "dog"), "the bundle")
