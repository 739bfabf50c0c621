"""What a split skips, leaves out or refuses, and how it says so."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from split_folders import folder, reasons

from edgetl.data.split import make_split
from edgetl.errors import DataError, UsageError
from edgetl.recipes.data import Data


def test_broken_files_are_skipped_and_the_draw_goes_on(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 5, "b": 5})
    first = Path(make_split(Data(train=".", shots=3), tmp_path).shots[0].path)
    first.write_text("no picture")
    split = make_split(Data(train=".", shots=3), tmp_path)
    assert Counter(sample.label for sample in split.shots) == {0: 3, 1: 3}
    assert [skipped.path for skipped in split.skipped] == [str(first)]
    assert "it is plain text, not an image" in split.skipped[0].reason


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
    assert reasons(split) == {"notes.txt": "not taken as an image: its name ends in .txt"}


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
    assert any(f"also in `b`, skipped in both: {tmp_path}/b/wrong0.png" in item.reason for item in split.skipped)
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
        match=r"class `b` has 4 usable images; wanted 6 \(data.shots: 5 and one more for validation\); "
        r"add images, set data.shots to 3, or set `data.val`",
    ):
        make_split(Data(train=".", shots=5), tmp_path)


def test_one_image_in_a_class_is_too_few(tmp_path: Path) -> None:
    folder(tmp_path, {"a": 9, "b": 1})
    with pytest.raises(DataError, match=r"class `b` has 1 usable images; wanted 2 .*; add images, or set"):
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
        match=r"1 unreadable \(0.png: the file is empty\), 1 copies, 1 not taken as images, for example .*phone\.heic",
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
    with pytest.raises(DataError, match=r"val: class `a` has 0 usable images.*wanted at least 1 for validation"):
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
    with pytest.raises(DataError, match="`c` is not a class of"):
        make_split(Data(train="train", val="val", shots=1), tmp_path)
