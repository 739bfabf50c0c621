"""Folders and CSV lists become the same listing; what cannot be meant is one clear DataError."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetl.data import lists as lists_module
from edgetl.data.scan import Listing, match_classes, natural_key, require_classes, scan
from edgetl.errors import DataError, EdgetlError, UsageError
from edgetl.files.text import printable


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not opened")
    return root


def table(folder: Path, text: str | bytes, images: tuple[str, ...] = ("a.png", "b.png")) -> Path:
    touch(folder, *images)
    path = folder / "list.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def relative(listing: Listing) -> list[tuple[str, str]]:
    return [(listing.name_of(path), listing.classes[label]) for path, label in listing.files]


def test_a_folder_gives_classes_and_files_in_natural_order(tmp_path: Path) -> None:
    listing = scan(touch(tmp_path, "10/i10.png", "10/i2.JPG", "2/x.jpeg", "1/deep/er/y.tif"))
    assert listing.classes == ("1", "2", "10")
    assert relative(listing) == [
        ("1/deep/er/y.tif", "1"),
        ("2/x.jpeg", "2"),
        ("10/i2.JPG", "10"),
        ("10/i10.png", "10"),
    ]
    assert listing.counts() == (1, 1, 2)
    assert all(Path(path).is_absolute() for path, _ in listing.files)


def test_hidden_files_are_ignored_and_others_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "a/.DS_Store", ".git/x", "__MACOSX/a/._1.png", "b/1.png")
    touch(tmp_path, "a/notes.txt", "a/photo.HEIC", "a/README", "loose.png")
    listing = scan(tmp_path)
    assert listing.classes == ("a", "b")
    reasons = {Path(skipped.path).name: skipped.reason for skipped in listing.skipped}
    assert reasons == {
        "loose.png": "not inside a class folder",
        "notes.txt": "not taken as an image: its name ends in .txt",
        "photo.HEIC": "not taken as an image: its name ends in .heic; convert it to JPEG or PNG",
        "README": "not taken as an image: its name has no ending",
    }


def test_output_folders_are_no_classes_and_their_pictures_no_images(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png")
    for build in ("photos-build", "a/b/tried-build"):
        touch(tmp_path, f"{build}/edgetl-output.json", f"{build}/pivot/golden/0.png")
    listing = scan(tmp_path)
    assert relative(listing) == [("a/1.png", "a"), ("b/1.png", "b")]
    assert not listing.skipped


def test_an_empty_class_folder_is_a_class_without_images(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png")
    (tmp_path / "b").mkdir()
    assert scan(tmp_path).counts() == (1, 0)


def test_links_to_files_count_and_loops_end(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "2.png").symlink_to(tmp_path / "a" / "1.png")
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "nowhere")
    listing = scan(tmp_path)
    assert listing.counts() == (2, 1)
    assert sorted(skipped.reason for skipped in listing.skipped) == [
        "a link to a folder; copy the files here, or link each",
        "not a regular file",
    ]


def test_names_of_any_script_are_fine(tmp_path: Path) -> None:
    listing = scan(touch(tmp_path, "猫/Bild 1\u202fPM.png", "chien: été/😀.png"))
    assert set(listing.classes) == {"猫", "chien: été"}
    assert not listing.skipped


def test_file_names_that_no_text_can_hold_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png", "a/line\nbreak.png")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/b/\xff.png")).touch()
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    skipped = scan(tmp_path).skipped
    assert [Path(item.path).name for item in skipped] == ["line?break.png", "?.png"]
    assert {item.reason for item in skipped} == {"its name has control characters or is not UTF-8; rename it"}


@pytest.mark.parametrize("name", [b"\xff", b"line\nbreak"])
def test_a_folder_inside_a_class_whose_name_no_text_can_hold_is_named_and_passed_over(
    tmp_path: Path, name: bytes
) -> None:
    touch(tmp_path, "a/1.png", "b/1.png")
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b/" + name))
    try:
        touch(folder, "x.png", "deeper/y.png")
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    listing = scan(tmp_path)
    assert listing.counts() == (1, 1)
    (skipped,) = listing.skipped
    assert skipped.path == printable(str(folder))
    assert skipped.reason == "its name has control characters or is not UTF-8; rename it"


def test_a_class_name_with_a_line_break_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="printable characters, found `a\\?b`"):
        scan(touch(tmp_path, "a\nb/1.png"))


def test_a_missing_folder_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent: no such folder or list.*`data.train`") as caught:
        scan(tmp_path / "absent")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((), "found nothing"),
        (("1.png", "2.png"), "found 2 images directly in it"),
        (("a/notes.txt",), "found 1 folders without images"),
    ],
)
def test_a_folder_without_classes_says_what_is_there(tmp_path: Path, names: tuple[str, ...], found: str) -> None:
    with pytest.raises(DataError, match=f"expected one sub-folder of images per class, {found}"):
        scan(touch(tmp_path, *names))


def test_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least two classes, found only `cat`"):
        require_classes(scan(touch(tmp_path, "cat/1.png")))


def test_a_folder_of_splits_is_not_a_folder_of_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`train`, `val`, which are not classes; name train itself as `data.train`"):
        require_classes(scan(touch(tmp_path, "train/cat/1.png", "val/cat/1.png")))


def test_classes_of_val_must_be_those_of_train(tmp_path: Path) -> None:
    train = scan(touch(tmp_path / "train", "cat/1.png", "dog/1.png"))
    with pytest.raises(DataError, match=r"`dgo` is not a class of .*train; did you mean `dog`"):
        match_classes(train, scan(touch(tmp_path / "typo", "cat/1.png", "dgo/1.png")))
    with pytest.raises(DataError, match="has no images of `dog`"):
        match_classes(train, scan(touch(tmp_path / "less", "cat/1.png")))


def test_names_of_listed_images_elsewhere_do_not_tell_where_the_list_lies(tmp_path: Path) -> None:
    images = touch(tmp_path / "pictures", "a/1.png", "b/2.png")
    names = []
    for folder in (tmp_path / "near", tmp_path / "far" / "away"):
        folder.mkdir(parents=True)
        rows = "".join(f"{images / name},{name[0]}\n" for name in ("a/1.png", "b/2.png"))
        (folder / "list.csv").write_text("path,label\n" + rows)
        names.append(relative(scan(folder / "list.csv")))
    assert names[0] == names[1] == [("a/1.png", "a"), ("b/2.png", "b")]


def test_a_list_gives_the_same_listing_as_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.png", "dog/1.png")
    (tmp_path / "list.csv").write_text("path,label\ndog/1.png,dog\n cat/1.png , cat\n\n")
    folder, listed = scan(tmp_path), scan(tmp_path / "list.csv")
    assert relative(listed) == relative(folder)
    assert listed.files == folder.files
    assert listed.list == tmp_path / "list.csv"


def test_a_list_may_be_quoted_have_a_mark_and_columns_in_any_order(tmp_path: Path) -> None:
    path = table(tmp_path, '\ufefflabel,path\r\n"big, red",a.png\r\nblue,"b.png"\r\n')
    assert relative(scan(path)) == [("a.png", "big, red"), ("b.png", "blue")]


def test_paths_of_a_list_may_leave_its_folder(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "images/b.png")
    (tmp_path / "lists").mkdir()
    path = tmp_path / "lists" / "train.csv"
    path.write_text(f"path,label\n../images/a.png,a\n{tmp_path}/images/b.png,b\n")
    assert relative(scan(path)) == [("a.png", "a"), ("b.png", "b")]


def test_a_row_listed_again_is_named_once_more_only(tmp_path: Path) -> None:
    listing = scan(table(tmp_path, "path,label\na.png,a\nb.png,b\n./a.png,a\n"))
    assert len(listing.files) == 2
    assert [skipped.reason for skipped in listing.skipped] == ["listed again in line 4 of list.csv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the header `path,label`, found nothing"),
        ("a.png,cat\nb.png,dog\n", "found `a.png,cat`; the first line names the columns"),
        ("path,lable\na.png,cat\n", "unknown column `lable`; did you mean `label`"),
        ("path,label,width\na.png,cat,3\n", "unknown column `width`; valid are: label, path"),
        ("path;label\na.png;cat\n", "cells separated by `;`; separate them with commas"),
        ("path\tlabel\na.png\tcat\n", "separated by tabs"),
        ("path\na.png\n", "found only `path`"),
        ("path,label,label\na.png,b,c\n", "found `label` twice"),
        ("path,label\n", "expected rows of `path,label` below the header"),
        ("path,label\na.png\n", "line 2: expected 2 cells, found 1"),
        ("path,label\na.png,big, red\n", "line 2: expected 2 cells, found 3; quote"),
        ("path,label\na.png,\n", "line 2: expected a class name"),
        ("path,label\n,cat\n", "line 2: expected a path"),
        ("path,label\na.png," + "x" * 201 + "\n", "expected a class name of 1 to 200"),
        ("path,label\na\x00.png,cat\n", "line 2"),
        ('path,label\n"a.png,cat\n', "not valid CSV"),
        ("path,label\n" + "y" * 200_000 + ",cat\n", "not valid CSV: field larger"),
        ("path,label\na.png,cat\nc.png,dog\n", r"no such file: `c.png` \(line 3\); paths are relative to"),
        ("path,label\na.png,cat\n" + "".join(f"m{i},x\n" for i in range(9)), "and 6 more"),
        ("path,label\na.png,cat\n./a.png,dog\n", "labeled `cat` in line 2 and `dog` in line 3"),
        (b"path,label\n\xff\xfe,cat\n", "not UTF-8 text .byte 11."),
        (b"\x89PNG\r\n\x1a\n", "expected a CSV list of `path,label`: it is a PNG"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        scan(table(tmp_path, text))
    assert "list.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_huge_list_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path, "path,label\na.png,a\nb.png,b\n")
    monkeypatch.setattr(lists_module, "MAX_LIST_ROWS", 1)
    with pytest.raises(DataError, match="more than 1 rows"):
        scan(path)
    monkeypatch.setattr(lists_module, "MAX_LIST_BYTES", 10)
    with pytest.raises(DataError, match="larger than 10 bytes"):
        scan(path)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.text(max_size=120).map(lambda text: b"path,label\n" + text.encode("utf-8", "surrogatepass")),
        st.lists(st.tuples(st.sampled_from(["a.png", "b.png", "c.png", "."]), st.text(max_size=5)), max_size=6).map(
            lambda rows: ("path,label\n" + "".join(f"{p},{label}\n" for p, label in rows)).encode(
                "utf-8", "surrogatepass"
            )
        ),
    )
)
def test_any_bytes_are_a_listing_or_an_error_of_ours(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = table(Path(folder), data)
        outcome = listing_or_error(path)
        if isinstance(outcome, EdgetlError):
            assert str(outcome) == printable(str(outcome))
        else:
            assert outcome.files
            assert {label for _, label in outcome.files} == set(range(len(outcome.classes)))


def listing_or_error(path: Path) -> Listing | EdgetlError:
    try:
        return scan(path)
    except EdgetlError as error:
        return error


@given(st.lists(st.text(max_size=12), max_size=12))
def test_natural_order_is_total(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(names, key=natural_key) == sorted(backwards, key=natural_key)


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_natural_order_compares_numbers(a: int, b: int) -> None:
    assert (natural_key(f"img{a}.png") < natural_key(f"img{b}.png")) == (a < b)
