"""Which images there are, and which of them have a label."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from loose_pictures import write_pictures

from edgetl.data.fingerprint import hash_files
from edgetl.data.loose import list_examples
from edgetl.errors import DataError, UsageError
from edgetl.explore.cluster.images import Found, read_found, read_images, write_found
from edgetl.explore.cluster.labeled import read_labeled
from edgetl.files.text import printable
from edgetl.types import Silent


def _read(folder: Path) -> Found:
    return read_images(hash_files(list_examples(folder).paths), Silent())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "photos", {"one": 3, "two/inner": 2})


def test_nested_folders_are_read_and_hidden_ones_passed_over(photos: Path) -> None:
    write_pictures(photos, {".cache": 1})
    (photos / "notes.txt").write_text("no image")
    names = [Path(path).relative_to(photos).as_posix() for path in list_examples(photos).paths]
    assert names == ["one/0.png", "one/1.png", "one/2.png", "two/inner/0.png", "two/inner/1.png"]


def test_output_folders_of_earlier_runs_are_passed_over(photos: Path) -> None:
    write_pictures(photos, {"photos-clusters/pivot": 1})
    (photos / "photos-clusters" / "edgetl-output.json").write_text("{}")
    assert len(_read(photos).images) == 5


@pytest.mark.parametrize("name", [b"\xff", b"line\nbreak"])
def test_what_no_text_can_hold_the_name_of_is_named_and_left_out(photos: Path, name: bytes) -> None:
    folder = Path(os.fsdecode(os.fsencode(photos) + b"/" + name))
    try:
        write_pictures(folder, {"inner": 2})
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    shutil.copy(photos / "one" / "0.png", os.fsdecode(os.fsencode(photos) + b"/one/" + name + b".png"))
    listed = list_examples(photos)
    assert len(listed.paths) == 5
    assert {Path(skipped.path).name for skipped in listed.skipped} == {
        printable(folder.name),
        printable(folder.name + ".png"),
    }
    assert {skipped.reason for skipped in listed.skipped} == {
        "its name has control characters or is not UTF-8; rename it"
    }
    with pytest.raises(DataError, match="rename it"):
        list_examples(folder)


def test_unreadable_files_and_copies_are_named_and_left_out(photos: Path, tmp_path: Path) -> None:
    (photos / "one" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn off")
    shutil.copy(photos / "one" / "0.png", photos / "two" / "again.png")
    found = _read(photos)
    assert len(found.images) == 5
    assert [Path(skipped.path).name for skipped in found.skipped] == ["torn.jpg"]
    assert found.copies == {str(photos / "two" / "again.png"): str(photos / "one" / "0.png")}
    write_found(found, tmp_path / "found.json")
    assert read_found(tmp_path / "found.json") == found


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found nothing"):
        list_examples(tmp_path / "nowhere")
    with pytest.raises(DataError, match="contain images"):
        list_examples(tmp_path)
    (tmp_path / "torn.jpg").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"none of 1 images can be read.*torn\.jpg"):
        _read(tmp_path)


def test_labels_are_found_by_path_also_where_a_copy_was_labeled(photos: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "one" / "0.png", photos / "two" / "again.png")
    found = _read(photos)
    (tmp_path / "a.csv").write_text("path,label\nphotos/two/again.png,cat\n")
    (tmp_path / "b.csv").write_text("path,label\nphotos/one/2.png,dog\nphotos/one/0.png,cat\n")
    known = read_labeled([tmp_path / "a.csv", tmp_path / "b.csv"], found.images, found.copies)
    assert known.classes == ("cat", "dog")
    np.testing.assert_array_equal(known.indices, [0, 2])
    np.testing.assert_array_equal(known.labels, [0, 1])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("photos/one/0.png,cat\n", "at least two classes; found 1"),
        ("photos/one/0.png,cat\nphotos/one/1.png,\n", "expected a class name"),
        ("photos/one/0.png,cat\nelse.png,dog\n", "not among the readable images"),
    ],
)
def test_lists_that_cannot_be_meant_are_refused(photos: Path, tmp_path: Path, rows: str, words: str) -> None:
    write_pictures(tmp_path, {"other": 1})
    shutil.copy(tmp_path / "other" / "0.png", tmp_path / "else.png")
    (tmp_path / "labels.csv").write_text("path,label\n" + rows)
    found = _read(photos)
    with pytest.raises(DataError, match=words):
        read_labeled([tmp_path / "labels.csv"], found.images, found.copies)


def test_two_lists_that_contradict_each_other_are_refused(photos: Path, tmp_path: Path) -> None:
    found = _read(photos)
    for name, label in (("a.csv", "cat"), ("b.csv", "dog")):
        (tmp_path / name).write_text(f"path,label\nphotos/one/0.png,{label}\n")
    with pytest.raises(DataError, match="labeled `dog` here and `cat` before"):
        read_labeled([tmp_path / "a.csv", tmp_path / "b.csv"], found.images, found.copies)
