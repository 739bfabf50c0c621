"""The data stage and the suggested recipe on real pictures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from edgetl.data.fingerprint import fingerprint
from edgetl.data.split import keep_split, make_split, read_split
from edgetl.data.split_objects import make_object_split, objects_by_class
from edgetl.data.survey import survey
from edgetl.explore.suggest_images import recipe_text
from edgetl.fronts.batches import batches
from edgetl.recipes.data import Data
from edgetl.recipes.recipe_file import parse_recipe
from edgetl.types import ImagePreprocessing, Silent

pytestmark = pytest.mark.integration


def test_steel_is_split_and_read(shared: Path, tmp_path: Path) -> None:
    config = Data(train="neu_steel/train", val="neu_steel/val", shots=10)
    keep_split(make_split(config, shared / "data"), tmp_path, Silent())
    split = read_split(tmp_path / "split.json")
    assert split.classes == ("crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches")
    assert Counter(sample.label for sample in split.shots) == dict.fromkeys(range(6), 10)
    assert Counter(sample.label for sample in split.val) == dict.fromkeys(range(6), 50)
    assert not split.skipped
    assert split.resize == "squash"
    preprocessing = ImagePreprocessing(96, 96, split.resize, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    first = next(batches(split.shots, preprocessing, 32))
    assert first.shape == (32, 96, 96, 3)
    assert (first[..., 0] == first[..., 1]).all(), "gray pictures have three equal channels"
    assert 20 < float(np.mean(first)) < 235


def test_trash_without_its_val_measures_on_the_rest(shared: Path) -> None:
    split = make_split(Data(train="trash/train", shots=10, max_val_images=60), shared / "data")
    assert Counter(sample.label for sample in split.val) == dict.fromkeys(range(6), 10)
    assert not {sample.sha256 for sample in split.shots} & {sample.sha256 for sample in split.val}
    assert "10 % 0.75, median 0.75, 90 % 0.75" in split.resize_reason


@pytest.mark.parametrize(
    ("name", "augment"),
    [("neu_steel", "overhead"), ("rsscn7", "overhead"), ("sign_digits", "text"), ("trash", "natural")],
)
def test_suggested_recipes_suit_and_work(shared: Path, tmp_path: Path, name: str, augment: str) -> None:
    root = shared / "data" / name
    recipe = parse_recipe(yaml.safe_load(recipe_text(survey(root), root, tmp_path, None)), where=name)
    assert recipe.name == name
    assert (recipe.data.shots, recipe.data.augment) == ("all", augment)
    few = recipe.data.model_copy(update={"shots": 2, "max_val_images": 20})
    assert len(make_split(few, tmp_path).val) == 20
    assert len(fingerprint(recipe.data, tmp_path)) == 64


@pytest.mark.parametrize(
    ("name", "train", "val", "images", "objects"),
    [
        ("bccd_detection", "train.json", "val.json", 100, (10, 10, 10)),
        ("raccoon", "train.json", "val.json", 77, (10,)),
        ("pcb_defects", "train.json", "val.json", 60, (10,) * 6),
        ("neu_steel", "boxes_train.json", "boxes_val.json", 300, (10,) * 6),
    ],
)
def test_annotated_sets_are_drawn_as_they_lie(
    shared: Path, name: str, train: str, val: str, images: int, objects: tuple[int, ...]
) -> None:
    found = make_object_split(Data(train=train, val=val, shots=10), shared / "data" / name)
    drawn = objects_by_class(found.shots, len(found.classes))
    assert len(drawn) == len(objects)
    assert all(count >= least for count, least in zip(drawn, objects, strict=True))
    assert len(found.val) == images
    assert not found.skipped
    assert not found.remarks


def test_a_set_of_eighty_classes_keeps_those_without_objects(shared: Path) -> None:
    found = make_object_split(
        Data(train="train2017.json", val="val2017.json", shots="all"), shared / "data/coco_samples"
    )
    assert (len(found.classes), found.classes[0], len(found.shots), len(found.val)) == (80, "person", 50, 50)
    assert sum(box.ignore for sample in found.shots for box in sample.boxes) == 5
