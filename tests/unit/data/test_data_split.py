"""The draw is stratified, disjoint and repeatable; what cannot be used is named, what cannot be right is refused."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image
from split_folders import fake_look, folder, grouped, names, picture, videos

from edgetl.data.split import make_split, read_split, split_digest, write_split
from edgetl.errors import DataError, UsageError
from edgetl.recipes.data import Data


def test_shots_are_drawn_and_the_rest_measures(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 5, "b": 3})
    split = make_split(Data(train=".", shots=2), tmp_path)
    assert split.classes == ("a", "b")
    assert Counter(sample.label for sample in split.shots) == {0: 2, 1: 2}
    assert Counter(sample.label for sample in split.val) == {0: 3, 1: 1}
    assert not split.skipped
    assert (split.resize, split.resize_reason.endswith("little distortion")) == ("squash", True)


def test_every_beginning_is_stratified(tmp_path: Path) -> None:
    split = make_split(Data(train=".", shots=2), folder(tmp_path, {"a": 4, "b": 3, "c": 3}))
    assert [sample.label for sample in split.shots] == [0, 1, 2, 0, 1, 2]
    assert [sample.label for sample in split.val] == [0, 1, 2, 0]


def test_a_val_of_its_own_is_used_whole(tmp_path: Path) -> None:
    folder(tmp_path / "train", {"a": 3, "b": 3})
    folder(tmp_path / "val", {"a": 2, "b": 4}, offset=500)
    split = make_split(Data(train="train", val="val", shots="all"), tmp_path)
    assert len(split.shots) == 6
    assert Counter(sample.label for sample in split.val) == {0: 2, 1: 4}
    assert {Path(sample.path).parent.parent.name for sample in split.val} == {"val"}


def test_the_draw_depends_on_the_seed_only(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 9, "b": 9})
    first = make_split(Data(train=".", shots=3, seed=1), tmp_path)
    assert make_split(Data(train=".", shots=3, seed=1), tmp_path) == first
    assert make_split(Data(train=".", shots=3, seed=2), tmp_path).digest != first.digest


def test_the_draw_is_the_same_somewhere_else(tmp_path: Path) -> None:
    here, there = folder(tmp_path / "here", {"a": 6, "b": 6}), tmp_path / "there" / "deeper"
    shutil.copytree(here, there)
    one = make_split(Data(train=".", shots=2), here)
    two = make_split(Data(train=str(there), shots=2), tmp_path)
    assert names(one, here) == names(two, there)
    assert one.digest == two.digest


def test_another_class_or_image_leaves_the_other_draws_alone(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 6, "c": 6})
    before = set(names(make_split(Data(train=".", shots=2), tmp_path), tmp_path)[0])
    folder(tmp_path, {"b": 6}, offset=5000)
    picture(tmp_path / "c" / "new.png", 77)
    after = set(names(make_split(Data(train=".", shots=2), tmp_path), tmp_path)[0])
    assert {name for name in before if name[0] == "a"} == {name for name in after if name[0] == "a"}
    assert len({name for name in before - after if name[0] == "c"}) <= 1


def test_fewer_shots_are_a_part_of_more(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 8, "b": 8})
    few = set(names(make_split(Data(train=".", shots=2), tmp_path), tmp_path)[0])
    assert few < set(names(make_split(Data(train=".", shots=5), tmp_path), tmp_path)[0])


def test_a_list_draws_like_the_folder_it_lists(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 5, "b": 5})
    rows = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in tmp_path.rglob("*.png")]
    random.Random(0).shuffle(rows)
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]))
    assert make_split(Data(train="list.csv", shots=2), tmp_path).shots == (
        make_split(Data(train=".", shots=2), tmp_path).shots
    )


def test_a_list_may_measure_what_a_folder_teaches(tmp_path: Path) -> None:
    folder(tmp_path / "train", {"a": 2, "b": 2})
    folder(tmp_path / "more", {"x": 2}, offset=700)
    (tmp_path / "val.csv").write_text("path,label\nmore/x/0.png,b\nmore/x/1.png,a\n")
    split = make_split(Data(train="train", val="val.csv", shots=2), tmp_path)
    assert {(Path(sample.path).name, sample.label) for sample in split.val} == {("0.png", 1), ("1.png", 0)}


def test_the_measured_images_are_limited_in_proportion(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 22, "b": 12, "c": 3})
    split = make_split(Data(train=".", shots=2, max_val_images=10), tmp_path)
    assert Counter(sample.label for sample in split.val) == {0: 6, 1: 3, 2: 1}


def test_a_limit_below_the_number_of_classes_is_wrong_usage(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 3, "b": 3})
    with pytest.raises(UsageError, match=r"data\.max_val_images: expected at least one for each of 2 classes"):
        make_split(Data(train=".", shots=1, max_val_images=1), tmp_path)


def test_the_recipe_may_fix_the_resize_policy(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 3, "b": 3})
    split = make_split(Data(train=".", shots=1, resize="letterbox"), tmp_path)
    assert (split.resize, split.resize_reason) == ("letterbox", "set in the recipe")


def test_the_resize_policy_is_chosen_from_the_shots_alone(tmp_path: Path) -> None:
    for i in range(3):
        for k, name in enumerate("ab"):
            picture(tmp_path / "train" / name / f"{i}.png", 10 * k + i, (8, 8))
            picture(tmp_path / "val" / name / f"{i}.png", 100 + 10 * k + i, (4, 40) if i % 2 else (40, 4))
    assert "nearly square" in make_split(Data(train="train", val="val", shots=3), tmp_path).resize_reason


def test_no_group_both_teaches_and_measures(tmp_path: Path) -> None:
    grouped(tmp_path)
    assert set.intersection(*videos(make_split(Data(train=".", shots=2), tmp_path))), "the draw must have a choice"
    for seed in range(5):
        split = make_split(Data(train=".", shots=2, seed=seed, group_by=r"video\d+"), tmp_path)
        teach, measure = videos(split)
        assert (len(teach), len(measure)) == (2, 2)
        assert not teach & measure
        assert Counter(sample.label for sample in split.shots) == {0: 2, 1: 2}
        assert Counter(sample.label for sample in split.val) == {0: 6, 1: 6}


def test_fewer_grouped_shots_are_a_part_of_more(tmp_path: Path) -> None:
    grouped(tmp_path)
    drawn = [make_split(Data(train=".", shots=n, group_by=r"video\d+"), tmp_path) for n in range(1, 10)]
    for few, more in pairwise(drawn):
        assert set(few.shots) < set(more.shots)
        assert set(more.val) <= set(few.val)


def test_a_group_of_every_class_is_left_to_measure_on_or_the_classes_are_named(tmp_path: Path) -> None:
    grouped(tmp_path)
    assert make_split(Data(train=".", shots=9, group_by=r"video\d+"), tmp_path).val
    with pytest.raises(
        DataError,
        match=r"every group \(data.group_by\) of class `a`, `b` is used for training with data.shots: 10; "
        r".* lower, add",
    ):
        make_split(Data(train=".", shots=10, group_by=r"video\d+"), tmp_path)


def test_too_few_images_are_named_before_groups(tmp_path: Path) -> None:
    grouped(tmp_path)
    with pytest.raises(DataError, match=r"class `a` has 12, .* wanted 14"):
        make_split(Data(train=".", shots=13, group_by=r"video\d+"), tmp_path)


def test_a_val_of_its_own_is_used_whole_whatever_its_groups(tmp_path: Path) -> None:
    grouped(tmp_path / "train")
    folder(tmp_path / "val", {"a": 2, "b": 2}, offset=9000)
    plain = Data(train="train", val="val", shots=2)
    assert make_split(plain.model_copy(update={"group_by": r"\d+"}), tmp_path) == make_split(plain, tmp_path)
    with pytest.raises(UsageError, match=r"val: data.group_by 'video' matches no group in 4 of 4 names"):
        make_split(plain.model_copy(update={"group_by": "video"}), tmp_path)


def test_a_split_without_groups_is_the_one_of_earlier_versions(tmp_path: Path) -> None:
    for name in "ab":
        for i in range(6):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / f"{i}.png").write_text(f"good {name} {i}")
    split = make_split(Data(train=".", shots=2, seed=3), tmp_path, look=fake_look)
    assert split.digest == "8ff9be635fb377789bdc619de96dee178e3b29edbd47d9be6d47ed42cfa81bf8"


def test_one_picture_that_is_too_long_to_crop_is_known_to_the_split(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 3, "b": 3})
    assert make_split(Data(train=".", shots=1), tmp_path).croppable
    Image.new("L", (4000, 2)).save(tmp_path / "a" / "0.png")
    assert not make_split(Data(train=".", shots=1), tmp_path).croppable


def test_a_split_survives_being_written(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 3, "b 猫": 3})
    split = make_split(Data(train=".", shots=1), tmp_path)
    write_split(split, tmp_path / "split.json")
    assert read_split(tmp_path / "split.json") == split


@pytest.mark.parametrize("text", ["", "{}", "[1, 2]", '{"classes": 3}', "\x00"])
def test_a_damaged_split_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(DataError, match=r"split\.json: not a split: .*; build again"):
        read_split(tmp_path / "split.json")


def test_a_changed_or_absent_split_is_refused(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 3, "b": 3})
    path = tmp_path / "split.json"
    with pytest.raises(DataError, match="cannot be read"):
        read_split(path)
    write_split(make_split(Data(train=".", shots=1), tmp_path), path)
    raw = json.loads(path.read_text())
    raw["val"][0]["truth"] = 1 - raw["val"][0]["truth"]
    path.write_text(json.dumps(raw))
    with pytest.raises(DataError, match="does not match its digest"):
        read_split(path)


def test_the_digest_tells_meanings_apart(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 3, "b": 3})
    split = make_split(Data(train=".", shots=1), tmp_path)
    others = [
        replace(split, classes=("a", "c")),
        replace(split, resize="crop"),
        replace(split, shots=split.val, val=split.shots),
        replace(split, val=split.val[1:]),
        replace(split, shots=(replace(split.shots[0], sha256="0" * 64), *split.shots[1:])),
    ]
    assert len({split_digest(other) for other in [split, *others]}) == 6
    assert split_digest(replace(split, skipped=(), resize_reason="")) == split.digest
