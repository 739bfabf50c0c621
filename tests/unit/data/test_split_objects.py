"""The draw of images with objects counts objects, is repeatable, and fewer shots are a subset of more."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from object_files import CLASSES, OBJECTS, Object, coco, picture, pictures, write_coco, write_csv, write_yolo
from small_runs import small_run

from edgetl.data.fingerprint import fingerprint
from edgetl.data.groups import val_groups
from edgetl.data.split import keep_split, read_split
from edgetl.data.split_objects import in_turn, make_object_split, objects_by_class
from edgetl.errors import DataError, UsageError
from edgetl.fronts.image.examine import Seen
from edgetl.recipes.data import Data
from edgetl.types import Box, Progress, Sample, Silent, Split

CAT, DOG = (2.0, 3.0, 12.0, 13.0, "cat"), (2.0, 3.0, 12.0, 13.0, "dog")


def fake_look(path: Path) -> Seen:
    return Seen(30, 40)


def data_set(root: Path, objects: Mapping[str, Sequence[Object]], part: str = "train") -> Path:
    folder = root / part
    folder.mkdir(parents=True, exist_ok=True)
    for name in objects:
        (folder / f"{name}.png").write_bytes(f"{part} {name}".encode())
    path = root / f"{part}.json"
    path.write_text(json.dumps(coco(objects)))
    return path


def spread(count: int, seed: int = 0) -> dict[str, list[Object]]:
    """Images with up to five objects each; one in four shows background."""
    generator = random.Random(seed)
    found: dict[str, list[Object]] = {}
    for index in range(count):
        number = 0 if generator.random() < 0.25 else generator.randint(1, 5)
        found[f"image{index}"] = [(*_place(x), generator.choices(CLASSES, (1, 4))[0]) for x in range(number)]
    return found


def _place(x: int) -> tuple[float, float, float, float]:
    return 2.0 + x, 3.0, 12.0 + x, 13.0


def split(root: Path, **settings: object) -> Split:
    return make_object_split(Data.model_validate({"train": "train.json", **settings}), root, look=fake_look)


def names(samples: Sequence[Sample]) -> list[str]:
    return [Path(sample.path).stem for sample in samples]


@pytest.mark.parametrize("shots", [1, 3, 7])
def test_images_are_drawn_until_every_class_has_enough_objects(shots: int, tmp_path: Path) -> None:
    data_set(tmp_path, spread(60))
    found = split(tmp_path, shots=shots)
    counts = objects_by_class(found.shots, 2)
    assert min(counts) >= shots
    assert sum(not sample.boxes for sample in found.shots) == shots
    # the last image of the draw was needed, so no class has a whole image of five too many
    assert counts[0] < shots + 5


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_fewer_shots_are_a_subset_of_more(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    root = tmp_path_factory.mktemp("subset")
    data_set(root, spread(40, seed))
    drawn = [set(names(split(root, shots=shots, seed=seed).shots)) for shots in (1, 2, 3, 5, 8)]
    assert all(few <= more for few, more in pairwise(drawn))


def test_a_rare_class_gives_all_it_has(tmp_path: Path) -> None:
    objects: dict[str, list[Object]] = {f"dog{index}": [DOG] for index in range(20)}
    data_set(tmp_path, {**objects, "cat": [CAT]})
    found = split(tmp_path, shots=5)
    assert objects_by_class(found.shots, 2) == (1, 5)


def test_the_rest_validates_with_all_its_objects(tmp_path: Path) -> None:
    objects = spread(30)
    data_set(tmp_path, objects)
    found = split(tmp_path, shots=2)
    assert sorted(names((*found.shots, *found.val))) == sorted(objects)
    assert sum(objects_by_class(found.val, 2)) + sum(objects_by_class(found.shots, 2)) == sum(
        map(len, objects.values())
    )


def test_a_val_of_its_own_is_used_whole_and_may_lack_a_class(tmp_path: Path) -> None:
    data_set(tmp_path, spread(10))
    data_set(tmp_path, {"x": [DOG], "y": []}, part="val")
    found = split(tmp_path, val="val.json", shots="all")
    assert (len(found.shots), sorted(names(found.val))) == (10, ["x", "y"])


def test_labels_of_val_are_those_of_train_whatever_the_order_of_its_classes(tmp_path: Path) -> None:
    data_set(tmp_path, spread(10))
    path = data_set(tmp_path, {"x": [DOG], "y": [CAT]}, part="val")
    content = json.loads(path.read_text())
    content["categories"] = [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}, {"id": 3, "name": "owl"}]
    path.write_text(json.dumps(content))
    found = split(tmp_path, val="val.json", shots=1)
    labels = {Path(sample.path).stem: sample.boxes[0].label for sample in found.val}
    assert labels == {"x": 0, "y": 1}


def test_an_unknown_class_in_val_is_refused(tmp_path: Path) -> None:
    data_set(tmp_path, spread(10))
    path = data_set(tmp_path, {"x": [DOG]}, part="val")
    path.write_text(path.read_text().replace('"dog"', '"Dog"'))
    with pytest.raises(
        DataError, match=r"val.json: `Dog` is not a class of .*train.json; `Dog` differs from `dog` only in upper"
    ):
        split(tmp_path, val="val.json", shots=1)


def test_at_most_so_many_validation_images_take_classes_in_turn(tmp_path: Path) -> None:
    objects: dict[str, list[Object]] = {f"dog{index}": [DOG] for index in range(30)}
    objects |= {f"cat{index}": [CAT] for index in range(6)}
    data_set(tmp_path, objects)
    data_set(tmp_path, objects, part="val")
    found = split(tmp_path, val="val.json", shots=1, max_val_images=8)
    assert Counter(name[:3] for name in names(found.val)) == {"cat": 4, "dog": 4}


def test_the_draw_depends_on_the_seed_and_not_on_the_place(tmp_path: Path) -> None:
    data_set(tmp_path / "here", spread(30))
    shutil.copytree(tmp_path / "here", tmp_path / "there" / "deeper")
    one, two = split(tmp_path / "here", shots=3), split(tmp_path / "there" / "deeper", shots=3)
    assert (one.digest, names(one.shots)) == (two.digest, names(two.shots))
    assert split(tmp_path / "here", shots=3, seed=1).digest != one.digest


def test_the_draw_is_the_same_in_every_format(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco")
    write_yolo(tmp_path / "yolo")
    write_csv(tmp_path / "csv")
    data = [Data(train=f"{name}", shots=1) for name in ("coco/train.json", "yolo/data.yaml", "csv/objects.csv")]
    drawn = [make_object_split(each, tmp_path) for each in data]
    assert {tuple(names(each.shots)) for each in drawn} == {tuple(names(drawn[0].shots))}


def test_groups_stay_on_one_side(tmp_path: Path) -> None:
    objects = {f"video{index % 6}_{index}": listed for index, listed in enumerate(spread(60).values())}
    data_set(tmp_path, objects)
    found = split(tmp_path, shots=4, group_by="video[0-9]+")
    videos = [{name.split("_")[0] for name in names(side)} for side in (found.shots, found.val)]
    assert all(videos)
    assert not videos[0] & videos[1]
    data = {"train": "train.json", "shots": 4}
    run = small_run(found, tmp_path, task="detection", data={**data, "group_by": "video[0-9]+"})
    assert val_groups(run) == tuple(name.split("_")[0] for name in names(found.val))
    assert val_groups(small_run(found, tmp_path, task="detection", data=data)) is None


def test_copies_are_used_once_and_conflicts_not_at_all(tmp_path: Path) -> None:
    data_set(
        tmp_path,
        {**spread(20), "one": [CAT], "two": [CAT], "three": [DOG], "four": [CAT, (5.0, 5.0, 9.0, 9.0, "cat"), DOG]},
    )
    for name in ("two", "one"):
        (tmp_path / "train" / f"{name}.png").write_bytes(b"equal")
    for name in ("three", "four"):
        (tmp_path / "train" / f"{name}.png").write_bytes(b"contradiction")
    found = split(tmp_path, shots=3)
    used = names((*found.shots, *found.val))
    assert len({"one", "two"} & set(used)) == 1
    assert not {"three", "four"} & set(used)
    assert [sorted(each.labels) for each in found.conflicts] == [["`1 dog`", "`2 cat`, `1 dog`"]]
    assert {Path(each.path).stem for each in found.skipped} >= {"three", "four"}


def test_objects_that_are_left_out_are_named_and_do_not_count(tmp_path: Path) -> None:
    outside = (90.0, 3.0, 99.0, 13.0, "cat")
    data_set(tmp_path, {**{f"dog{index}": [DOG] for index in range(5)}, "mixed": [outside, DOG], "lost": [outside]})
    found = split(tmp_path, shots=4)
    assert objects_by_class((*found.shots, *found.val), 2) == (0, 6)
    assert [(Path(each.path).stem, each.sentence) for each in found.remarks] == [
        ("mixed", "annotation 6 (`cat`) lies outside of the image of 40x30 pixels; left out")
    ]
    assert [(Path(each.path).stem, each.reason.split(":")[0]) for each in found.skipped] == [
        ("lost", "none of its 1 objects is usable")
    ]


def test_broken_images_are_skipped_or_refused(tmp_path: Path) -> None:
    write_coco(tmp_path, coco({**OBJECTS, "d": [CAT], "e": [DOG]}))
    pictures(tmp_path / "train", ("d", "e"))
    (tmp_path / "train" / "b.png").write_bytes(b"no image")
    found = make_object_split(Data(train="train.json", shots=1), tmp_path)
    assert [Path(each.path).stem for each in found.skipped] == ["b"]
    with pytest.raises(DataError, match="1 unreadable"):
        make_object_split(Data(train="train.json", shots=1, unreadable="refuse"), tmp_path)


def test_a_split_is_written_and_read(tmp_path: Path) -> None:
    data_set(tmp_path, spread(20))
    found = split(tmp_path, shots=2)
    keep_split(found, tmp_path, Silent())
    assert read_split(tmp_path / "split.json") == found


def test_what_was_left_out_is_reported(tmp_path: Path) -> None:
    class Recorder(Silent):
        def __init__(self) -> None:
            self.notes: list[str] = []

        def note(self, text: str) -> None:
            self.notes.append(text)

    outside = (90.0, 3.0, 99.0, 13.0, "cat")
    data_set(tmp_path, {"a": [DOG, *[outside] * 7], "b": [DOG]})
    recorder: Progress = Recorder()
    keep_split(split(tmp_path, shots=1), tmp_path, recorder)
    assert len(recorder.notes) == 6  # type: ignore[attr-defined]
    assert recorder.notes[-1] == "2 more objects like these; all are listed in split.json"  # type: ignore[attr-defined]


def test_what_cannot_be_a_split_is_refused(tmp_path: Path) -> None:
    data_set(tmp_path, {"a": [DOG], "b": []})
    with pytest.raises(DataError, match="leaves no image with objects for validation"):
        split(tmp_path, shots=1)
    with pytest.raises(UsageError, match="`crop` cuts off objects"):
        split(tmp_path, shots=1, resize="crop")
    with pytest.raises(UsageError, match=r"data.columns: only for task: classification"):
        split(tmp_path, shots=1, columns={"path": "a", "label": "b"})
    data_set(tmp_path, {"a": [], "b": []})
    with pytest.raises(DataError, match="expected labeled objects, found none in 2 images"):
        split(tmp_path, shots=1)


def test_the_fingerprint_covers_annotations_and_images_but_not_the_place(tmp_path: Path) -> None:
    def of(root: Path) -> str:
        return fingerprint(Data(train="train.json"), root, "detection")

    path = write_coco(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    before = of(tmp_path / "here")
    assert of(tmp_path / "there") == before
    path.write_text(path.read_text().replace("[2, 3, 10, 10]", "[2, 3, 10, 11]"))
    assert of(tmp_path / "here") != before
    picture(tmp_path / "there" / "train" / "a.png", 99)
    assert of(tmp_path / "there") != before


def test_every_beginning_is_stratified() -> None:
    box = Box(0, 0, 1, 1, 0)
    samples = [Sample(str(index), (box,) * 3, "") for index in range(6)]
    samples += [Sample("rare", (replace(box, label=1),), ""), Sample("none", (), "")]
    assert [sample.path for sample in in_turn(samples)][:3] == ["0", "rare", "none"]
    assert sorted(sample.path for sample in in_turn(samples)) == sorted(sample.path for sample in samples)
