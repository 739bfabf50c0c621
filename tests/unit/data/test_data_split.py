"""The draw is stratified, disjoint and repeatable; what cannot be used is named, what cannot be right is refused."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgetl.data.split import make_split, read_split, split_digest, write_split
from edgetl.errors import DataError, UsageError
from edgetl.fronts.image.decode import UnreadableImage
from edgetl.fronts.image.examine import Seen
from edgetl.recipes.recipe import Data
from edgetl.types import Split


def picture(path: Path, seed: int, size: tuple[int, int] = (6, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def folder(root: Path, counts: Mapping[str, int], offset: int = 0) -> Path:
    for k, (name, count) in enumerate(counts.items()):
        for i in range(count):
            picture(root / name / f"{i}.png", offset + 1000 * k + i)
    return root


def names(split: Split, root: Path) -> tuple[list[str], list[str]]:
    shots = [str(Path(sample.path).relative_to(root)) for sample in split.shots]
    return shots, [str(Path(sample.path).relative_to(root)) for sample in split.val]


def reasons(split: Split) -> dict[str, str]:
    return {Path(skipped.path).name: skipped.reason for skipped in split.skipped}


def test_shots_are_drawn_and_the_rest_measures(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 5, "b": 3})
    split = make_split(Data(train=".", shots=2), tmp_path)
    assert split.classes == ("a", "b")
    assert Counter(sample.label for sample in split.shots) == {0: 2, 1: 2}
    assert Counter(sample.label for sample in split.val) == {0: 3, 1: 1}
    assert not split.skipped
    assert (split.resize, split.resize_reason.endswith("hardly distorts")) == ("squash", True)


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
    with pytest.raises(UsageError, match=r"data\.max_val_images: expected at least one image for each of 2 classes"):
        make_split(Data(train=".", shots=1, max_val_images=1), tmp_path)


def test_broken_files_are_skipped_and_the_draw_goes_on(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 5, "b": 5})
    first = Path(make_split(Data(train=".", shots=3), tmp_path).shots[0].path)
    first.write_text("no picture")
    split = make_split(Data(train=".", shots=3), tmp_path)
    assert Counter(sample.label for sample in split.shots) == {0: 3, 1: 3}
    assert [skipped.path for skipped in split.skipped] == [str(first)]
    assert "it is plain text, no picture" in split.skipped[0].reason


def test_broken_images_to_measure_on_are_named(tmp_path: Path) -> None:
    folder(tmp_path / "train", {"a": 2, "b": 2})
    folder(tmp_path / "val", {"a": 2, "b": 2}, offset=500)
    (tmp_path / "val" / "a" / "0.png").write_bytes((tmp_path / "val" / "a" / "0.png").read_bytes()[:60])
    split = make_split(Data(train="train", val="val", shots=2), tmp_path)
    assert len(split.val) == 3
    assert "damaged or truncated" in reasons(split)["0.png"]


def test_broken_files_are_refused_where_the_recipe_says_so(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 4, "b": 4})
    for name in ("a/0.png", "a/1.png", "b/2.png", "b/3.png"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"4 unreadable: .*the file is empty.* and 1 more; replace or remove"):
        make_split(Data(train=".", shots=1, unreadable="refuse"), tmp_path)


def test_other_files_are_named_but_never_refused(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "a" / "notes.txt").touch()
    split = make_split(Data(train=".", shots=1, unreadable="refuse"), tmp_path)
    assert reasons(split) == {"notes.txt": "not taken for an image: its name ends in .txt"}


def test_broken_files_that_are_equal_are_no_conflict_of_labels(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 3, "b": 3})
    for name in ("a", "b"):
        (tmp_path / name / "empty.png").touch()
    split = make_split(Data(train=".", shots=1), tmp_path)
    assert (len(split.shots), len(split.val)) == (2, 4)


def test_a_training_image_never_measures(tmp_path: Path) -> None:
    folder(tmp_path / "train", {"a": 2, "b": 2})
    folder(tmp_path / "val", {"a": 2, "b": 2}, offset=500)
    shutil.copy(tmp_path / "train" / "a" / "1.png", tmp_path / "val" / "a" / "copy.png")
    split = make_split(Data(train="train", val="val", shots=2), tmp_path)
    assert len(split.val) == 4
    assert reasons(split) == {"copy.png": f"same bytes as a training image: {tmp_path}/train/a/1.png"}


def test_copies_inside_one_part_count_once(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 3, "b": 3})
    shutil.copy(tmp_path / "a" / "0.png", tmp_path / "a" / "again.png")
    split = make_split(Data(train=".", shots=1), tmp_path)
    assert len(split.val) == 4
    assert len(split.skipped) == 1
    assert split.skipped[0].reason.startswith("same bytes as a ")


def test_all_pictures_under_two_labels_are_left_out_and_named_in_one_run(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 5, "b": 5})
    for number in (0, 1):
        shutil.copy(tmp_path / "a" / f"{number}.png", tmp_path / "b" / f"wrong{number}.png")
    split = make_split(Data(train=".", shots=2), tmp_path)
    assert [[Path(path).name for path in conflict.paths] for conflict in split.conflicts] == [
        ["0.png", "wrong0.png"],
        ["1.png", "wrong1.png"],
    ]
    assert {conflict.labels for conflict in split.conflicts} == {("a", "b")}
    assert len(split.skipped) == 4
    assert any(f"also in `b`, left out of both: {tmp_path}/b/wrong0.png" in item.reason for item in split.skipped)
    used = {sample.path for sample in (*split.shots, *split.val)}
    assert not used & {path for conflict in split.conflicts for path in conflict.paths}


def test_a_picture_with_another_label_in_val_is_left_out_of_both_sides(tmp_path: Path) -> None:
    folder(tmp_path / "train", {"a": 3, "b": 3})
    folder(tmp_path / "val", {"a": 2, "b": 2}, offset=500)
    shutil.copy(tmp_path / "train" / "a" / "0.png", tmp_path / "val" / "b" / "wrong.png")
    split = make_split(Data(train="train", val="val", shots=1), tmp_path)
    assert [conflict.labels for conflict in split.conflicts] == [("a", "b")]
    assert len(split.val) == 4


def test_pictures_under_two_labels_are_counted_where_a_class_has_too_few(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 2, "b": 5})
    for number in (0, 1):
        shutil.copy(tmp_path / "a" / f"{number}.png", tmp_path / "b" / f"wrong{number}.png")
    with pytest.raises(DataError, match=r"class `a` has 0 usable images \(skipped: 4 under two labels\)"):
        make_split(Data(train=".", shots=1), tmp_path)


def test_too_few_images_name_class_found_wanted_and_remedy(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 9, "b": 4, "c": 9})
    with pytest.raises(
        DataError,
        match=r"class `b` has 4 usable images; wanted 6 \(data.shots: 5 and one more to measure on\); "
        r"add images, set data.shots to 3, or name a `data.val`",
    ):
        make_split(Data(train=".", shots=5), tmp_path)


def test_one_image_in_a_class_is_too_few(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 9, "b": 1})
    with pytest.raises(DataError, match=r"class `b` has 1 usable images; wanted 2 .*; add images, or name"):
        make_split(Data(train=".", shots=1), tmp_path)


def test_too_few_images_with_a_val_need_no_more_than_the_shots(tmp_path: Path) -> None:
    folder(tmp_path / "train", {"a": 2, "b": 3})
    folder(tmp_path / "val", {"a": 1, "b": 1}, offset=500)
    assert len(make_split(Data(train="train", val="val", shots=2), tmp_path).shots) == 4
    with pytest.raises(DataError, match=r"has 2 .*wanted 3 \(data.shots: 3\); add images, set data.shots to 2$"):
        make_split(Data(train="train", val="val", shots=3), tmp_path)


def test_too_few_images_count_what_was_passed_over(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "a" / "0.png").write_bytes(b"")
    shutil.copy(tmp_path / "a" / "1.png", tmp_path / "a" / "2.png")
    (tmp_path / "a" / "phone.heic").touch()
    with pytest.raises(
        DataError,
        match=r"1 unreadable \(0.png: the file is empty\), 1 copies, 1 not taken for images, as .*phone\.heic",
    ):
        make_split(Data(train=".", shots=2), tmp_path)


def test_a_class_without_images_is_too_few(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "c").mkdir()
    with pytest.raises(DataError, match="class `c` has 0 usable images"):
        make_split(Data(train=".", shots=1), tmp_path)


def test_nothing_left_to_measure_on_is_refused(tmp_path: Path) -> None:
    folder(tmp_path / "train", {"a": 2, "b": 2})
    folder(tmp_path / "val", {"b": 1}, offset=500)
    (tmp_path / "val" / "a").mkdir()
    shutil.copy(tmp_path / "train" / "a" / "0.png", tmp_path / "val" / "a" / "0.png")
    with pytest.raises(DataError, match=r"val: class `a` has 0 usable images.*wanted at least 1 to measure on"):
        make_split(Data(train="train", val="val", shots=2), tmp_path)


def test_one_class_and_absent_folders_are_refused(tmp_path: Path) -> None:
    folder(tmp_path / "one", {"a": 3})
    with pytest.raises(DataError, match="at least two classes"):
        make_split(Data(train="one", shots=1), tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        make_split(Data(train="absent", shots=1), tmp_path)


def test_other_classes_in_val_are_refused(tmp_path: Path) -> None:
    folder(tmp_path / "train", {"a": 2, "b": 2})
    folder(tmp_path / "val", {"a": 2, "c": 2}, offset=500)
    with pytest.raises(DataError, match="`c` is no class of"):
        make_split(Data(train="train", val="val", shots=1), tmp_path)


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


def grouped(root: Path, classes: str = "ab", groups: int = 4, each: int = 3) -> Path:
    for k, name in enumerate(classes):
        for i in range(groups * each):
            picture(root / name / f"video{i // each}_{i}.png", 1000 * k + i)
    return root


def videos(split: Split) -> tuple[set[str], set[str]]:
    shots, val = ({Path(sample.path).name.split("_")[0] for sample in part} for part in (split.shots, split.val))
    return shots, val


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
        DataError, match=r"every group \(data.group_by\) of class `a`, `b` teaches with data.shots: 10; .* lower, add"
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
    with pytest.raises(UsageError, match=r"val: data.group_by 'video' finds no group in 4 of 4 names"):
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
    raw["val"][0]["label"] = 1 - raw["val"][0]["label"]
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


def fake_look(path: Path) -> Seen:
    data = path.read_bytes()
    if data.startswith(b"broken"):
        raise UnreadableImage(str(path), "broken")
    return Seen(4, 4)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(4, 9), st.integers(0, 3)), min_size=2, max_size=4),
    st.integers(1, 3),
    st.integers(0, 2**32),
    st.none() | st.integers(4, 12),
    st.randoms(use_true_random=False),
)
def test_any_split_is_stratified_disjoint_and_stable(
    classes: list[tuple[int, int]], shots: int, seed: int, limit: int | None, order: random.Random
) -> None:
    config = Data(train=".", shots=shots, seed=seed, max_val_images=limit)
    files = [
        (f"class{k}/{'broken' if i < broken else 'good'}{i}.png", i < broken)
        for k, (good, broken) in enumerate(classes)
        for i in range(good + broken)
    ]
    splits = []
    for _ in range(2):
        order.shuffle(files)
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch)
            for name, is_broken in files:
                (root / name).parent.mkdir(exist_ok=True)
                (root / name).write_text(f"{'broken' if is_broken else 'good'} {name}")
            split = make_split(config, root, look=fake_look)
            splits.append((names(split, root), split.digest))
    assert splits[0] == splits[1]
    shot_names, val_names = splits[0][0]
    assert not set(shot_names) & set(val_names)
    assert len(set(shot_names)) == len(shot_names)
    assert len(set(val_names)) == len(val_names)
    assert not any("broken" in name for name in shot_names + val_names)
    assert set(Counter(name.split("/")[0] for name in shot_names).values()) == {shots}
    assert len(Counter(name.split("/")[0] for name in val_names)) == len(classes)
    left = sum(good - shots for good, _ in classes)
    assert len(val_names) == left if limit is None else len(val_names) <= min(limit, left)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 4), min_size=3, max_size=6), min_size=2, max_size=3),
    st.integers(1, 3),
    st.integers(0, 2**32),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_any_grouped_split_keeps_groups_apart_and_is_stable(
    classes: list[list[int]], shots: int, seed: int, shared: bool, order: random.Random
) -> None:
    config = Data(train=".", shots=shots, seed=seed, group_by=r"^(?:\w+/)?(?P<group>\w+)-")
    files = [
        f"class{k}/{'' if shared else f'own{k}'}g{group}-{i}.png"
        for k, sizes in enumerate(classes)
        for group, size in enumerate(sizes)
        for i in range(size)
    ]
    splits = []
    for _ in range(2):
        order.shuffle(files)
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch)
            for name in files:
                (root / name).parent.mkdir(exist_ok=True)
                (root / name).write_text(f"good {name}")
            try:
                splits.append(names(make_split(config, root, look=fake_look), root))
            except DataError:  # nothing left to measure on
                splits.append(([], []))
    assert splits[0] == splits[1]
    teach, measure = ({name.split("/")[1].split("-")[0] for name in part} for part in splits[0])
    assert not teach & measure
    if not shared and all(min(sizes) >= shots for sizes in classes):
        assert teach
    if teach:
        assert set(Counter(name.split("/")[0] for name in splits[0][0]).values()) == {shots}
        assert len(Counter(name.split("/")[0] for name in splits[0][1])) == len(classes)
