"""The fingerprint changes with the data and with nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from edgetl.data.fingerprint import fingerprint, hash_files
from edgetl.errors import DataError, UsageError
from edgetl.recipes.data import Data


@pytest.fixture
def base(tmp_path: Path) -> Path:
    root = tmp_path / "base"
    for name in ("train/a/1.png", "train/a/2.png", "train/b/1.png", "val/a/1.png", "val/b/1.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"bytes of {name}")
    (root / "list.csv").write_text("path,label\ntrain/a/1.png,a\ntrain/b/1.png,b\n")
    return root


FOLDERS = Data(train="train", val="val")


def test_it_is_the_same_twice_and_somewhere_else(base: Path, tmp_path: Path) -> None:
    before = fingerprint(FOLDERS, base)
    assert len(before) == 64
    assert fingerprint(FOLDERS, base) == before
    shutil.copytree(base, tmp_path / "copy")
    assert fingerprint(FOLDERS, tmp_path / "copy") == before


@pytest.mark.parametrize(
    "change",
    [
        lambda base: (base / "train/a/1.png").write_text("other bytes"),
        lambda base: (base / "val/b/1.png").write_text("other bytes"),
        lambda base: (base / "train/a/1.png").rename(base / "train/a/3.png"),
        lambda base: (base / "train/a/2.png").rename(base / "train/b/2.png"),
        lambda base: (base / "train/a").rename(base / "train/c"),
        lambda base: (base / "train/a/2.png").unlink(),
        lambda base: (base / "train/a/new.png").touch(),
        lambda base: (base / "train/a/notes.txt").touch(),
        lambda base: (base / "train/empty").mkdir(),
    ],
)
def test_it_changes_with_the_files(base: Path, change: Callable[[Path], object]) -> None:
    before = fingerprint(FOLDERS, base)
    change(base)
    assert fingerprint(FOLDERS, base) != before


def test_hidden_files_and_settings_do_not_count(base: Path) -> None:
    before = fingerprint(FOLDERS, base)
    (base / "train/a/.DS_Store").touch()
    assert fingerprint(Data(train="train", val="val", shots=3, seed=9), base) == before


def test_train_and_val_are_told_apart(base: Path) -> None:
    assert fingerprint(FOLDERS, base) != fingerprint(Data(train="val", val="train"), base)
    assert fingerprint(FOLDERS, base) != fingerprint(Data(train="train"), base)


def test_the_text_of_a_list_counts(base: Path) -> None:
    config = Data(train="list.csv")
    before = fingerprint(config, base)
    (base / "list.csv").write_text("path,label\ntrain/b/1.png,b\ntrain/a/1.png,a\n")
    after = fingerprint(config, base)
    assert after != before
    (base / "train/a/1.png").write_text("other bytes")
    assert fingerprint(config, base) != after


def test_nothing_is_decoded(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", None)
    fingerprint(FOLDERS, base)


def test_unusable_data_is_refused(base: Path) -> None:
    with pytest.raises(UsageError):
        fingerprint(Data(train="absent"), base)
    with pytest.raises(DataError):
        fingerprint(Data(train="train/a"), base)


def test_files_that_cannot_be_read_have_no_hash(base: Path) -> None:
    absent = str(base / "absent.png")
    assert hash_files([absent, absent]) == {absent: ""}
