"""`edgetl new` finds labeled objects in every format and layout, and says so when it is not clear."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_calls import Shell
from object_files import coco, picture, pictures, voc_document, write_coco, write_csv, write_voc, write_yolo

from edgetl.data.annotations.find import read_annotations
from edgetl.errors import DataError
from edgetl.explore.propose_recipe import proposed
from edgetl.files.yaml_file import read_yaml
from edgetl.recipes.recipe import Recipe


def recipe(root: Path, here: Path | None = None) -> Recipe:
    return Recipe.model_validate(read_yaml(proposed(root).text(here or root.parent, None, True)))


@pytest.mark.parametrize("write", [write_coco, write_csv, write_yolo, write_voc])
def test_a_folder_of_every_format_gets_a_recipe_for_detection(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    root = tmp_path / "animals"
    write(root)
    found = recipe(root)
    assert (found.task, found.name, found.data.val) == ("detection", "animals", None)
    assert read_annotations(tmp_path / found.data.train).objects() == (1, 2)
    text = proposed(root).text(tmp_path, None, True)
    assert "# 2 classes of objects: cat, dog" in text
    assert "# 3 training images with 3 objects, 1 to 2 per class; 1 without objects" in text


def test_two_coco_files_are_training_and_validation(tmp_path: Path) -> None:
    write_coco(tmp_path)
    write_coco(tmp_path, part="val")
    for named in (tmp_path, tmp_path / "train.json"):
        found = recipe(named, tmp_path)
        assert (found.data.train, found.data.val, found.data.shots) == ("train.json", "val.json", "all")


def test_coco_files_may_lie_in_a_folder_of_annotations(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    for part in ("train2017", "val2017"):
        pictures(tmp_path / part)
        (tmp_path / "annotations" / f"instances_{part}.json").write_text(json.dumps(coco()))
    found = recipe(tmp_path, tmp_path)
    assert (found.data.train, found.data.val) == (
        "annotations/instances_train2017.json",
        "annotations/instances_val2017.json",
    )


def test_every_part_may_have_its_own_folder(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        pictures(tmp_path / part)
        (tmp_path / part / "a.xml").write_text(voc_document("a", [(2, 3, 12, 13, "cat")]))
    found = recipe(tmp_path, tmp_path)
    assert (found.data.train, found.data.val) == ("train", "valid")
    assert any("test is not used" in note for note in proposed(tmp_path).notes)


def test_a_data_set_that_names_its_validation_images_is_used_for_both(tmp_path: Path) -> None:
    path = write_yolo(tmp_path, "train: images\nval: more\nnames: [cat, dog]\n")
    picture(tmp_path / "more" / "x.png", 5)
    (tmp_path / "more" / "x.txt").write_text("0 0.5 0.5 0.2 0.2")
    found = recipe(path, tmp_path)
    assert (found.data.train, found.data.val) == ("data.yaml", "data.yaml")


def test_files_whose_part_is_not_clear_are_a_question(tmp_path: Path) -> None:
    path = write_coco(tmp_path)
    (tmp_path / "one.json").write_text(path.read_text())
    path.rename(tmp_path / "two.json")
    with pytest.raises(
        DataError, match=r"contains `one.json`, `two.json`; it is not clear what is for training: run edgetl new with"
    ):
        proposed(tmp_path)


def test_folders_of_classes_are_for_classification_also_with_boxes_beside_them(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        pictures(tmp_path / name)
    content = coco()
    for image in content["images"]:
        image["file_name"] = f"cat/{image['file_name']}"
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    assert recipe(tmp_path).task == "classification"
    assert "it also contains labeled objects" in proposed(tmp_path).notes[-1]
    assert recipe(tmp_path / "boxes.json").task == "detection"


def test_the_command_writes_the_recipe_and_prints_the_notes(shell: Shell, tmp_path: Path) -> None:
    content = coco()
    content["categories"].append({"id": 3, "name": "owl"})
    write_coco(tmp_path, content)
    done = shell("new", tmp_path, "-o", tmp_path / "recipe.yaml")
    assert done.code == 0, done.err
    assert "note: no object of `owl` in the training part: it cannot be learned" in done.err
    assert "task: detection" in (tmp_path / "recipe.yaml").read_text()
