"""What the last runs used stays, everything else goes; nothing that cannot be made again is touched."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgetl.errors import StoreError, UsageError
from edgetl.files.durable import read_sealed
from edgetl.store.clean import clean
from edgetl.store.results import open_store


def build(out: Path, numbers: Sequence[int], run: str = "report") -> list[str]:
    """A run with a result of some bytes for each number; the names of their folders."""

    def write(size_bytes: int, folder: Path) -> None:
        (folder / "data").write_bytes(b"x" * size_bytes)

    with open_store(out, run) as store:
        return [
            store.once("stage", 1, {"n": number}, lambda folder, n=number: write(n, folder)).folder.name  # type: ignore[misc]
            for number in numbers
        ]


def present(out: Path) -> set[str]:
    return {path.name for path in (out / "stages").iterdir() if path.is_dir()}


def test_what_the_last_build_did_not_use_is_removed_with_its_record(tmp_path: Path) -> None:
    build(tmp_path, [1, 2])
    kept = build(tmp_path, [2, 3])
    found = clean(tmp_path, cache=False, dry_run=False)
    assert len(found.removed) == 1
    assert found.kept == 2
    assert found.kept_bytes == 5
    assert present(tmp_path) == set(kept)
    assert {path.stem for path in (tmp_path / "stages").glob("*.json")} == set(kept)


def test_a_build_after_it_has_nothing_to_do(tmp_path: Path) -> None:
    build(tmp_path, [1, 2])
    build(tmp_path, [2, 3])
    clean(tmp_path, cache=False, dry_run=False)
    with open_store(tmp_path) as store:
        assert store.once("stage", 1, {"n": 3}, lambda folder: pytest.fail(str(folder))).reused


def test_every_command_keeps_what_it_used_last(tmp_path: Path) -> None:
    first = build(tmp_path, [1, 2], "adapt")
    second = build(tmp_path, [3], "report")
    assert not clean(tmp_path, cache=False, dry_run=False).removed
    build(tmp_path, [4], "adapt")
    assert {each.name for each in clean(tmp_path, cache=False, dry_run=False).removed} == set(first)
    assert set(second) < present(tmp_path)


def test_after_a_run_that_was_stopped_both_its_results_and_those_before_stay(tmp_path: Path) -> None:
    before = build(tmp_path, [1, 2])

    def interrupted(folder: Path) -> None:
        raise KeyboardInterrupt

    def half_a_build() -> None:
        with open_store(tmp_path, "report") as store:
            store.once("stage", 1, {"n": 3}, lambda folder: (folder / "data").touch())
            store.once("stage", 1, {"n": 4}, interrupted)

    with pytest.raises(KeyboardInterrupt):
        half_a_build()
    assert not clean(tmp_path, cache=False, dry_run=False).removed
    assert len(present(tmp_path) - set(before)) == 1


def test_an_unfinished_folder_without_a_record_goes(tmp_path: Path) -> None:
    build(tmp_path, [1])
    (tmp_path / "stages" / "stage-0123").mkdir()
    (tmp_path / "stages" / "stage-0123" / "half").write_bytes(b"x" * 7)
    found = clean(tmp_path, cache=False, dry_run=False)
    assert [(each.name, each.size_bytes) for each in found.removed] == [("stage-0123", 7)]


def test_a_file_that_is_not_ours_stays_and_is_not_named(tmp_path: Path) -> None:
    build(tmp_path, [1])
    (tmp_path / "stages" / "notes.txt").write_text("precious")
    assert not clean(tmp_path, cache=True, dry_run=False).removed
    assert (tmp_path / "stages" / "notes.txt").read_text() == "precious"


def test_what_cannot_be_removed_is_told_instead_of_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path, [1])
    build(tmp_path, [2])

    def refuse(path: Path, *_: object, **__: object) -> None:
        if path.parent.name == "stages":
            raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("edgetl.store.clean.shutil.rmtree", refuse)
    with pytest.raises(StoreError, match="no permission to write there"):
        clean(tmp_path, cache=False, dry_run=False)


def test_the_cache_goes_only_when_asked_for(tmp_path: Path) -> None:
    build(tmp_path, [1])
    (tmp_path / "cache" / "features").mkdir(parents=True)
    (tmp_path / "cache" / "features" / "rows.npy").write_bytes(b"x" * 10)
    assert clean(tmp_path, cache=False, dry_run=False).cache_bytes == 10
    found = clean(tmp_path, cache=True, dry_run=False)
    assert (found.freed_bytes, found.cache_bytes) == (10, 0)
    assert not (tmp_path / "cache").exists()


def test_a_dry_run_removes_nothing_and_says_the_same(tmp_path: Path) -> None:
    build(tmp_path, [1, 2])
    build(tmp_path, [2])
    dry = clean(tmp_path, cache=True, dry_run=True)
    assert len(present(tmp_path)) == 2
    assert clean(tmp_path, cache=True, dry_run=False) == dry
    assert dry.freed_bytes > 1


def test_what_is_published_and_files_of_others_stay(tmp_path: Path) -> None:
    build(tmp_path, [1])
    for name in ("bundles", "pivot"):
        (tmp_path / name).mkdir()
    (tmp_path / "report.html").write_text("report")
    clean(tmp_path, cache=True, dry_run=False)
    assert {"bundles", "pivot", "report.html"} <= {path.name for path in tmp_path.iterdir()}


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "mine").write_text("precious")
    with pytest.raises(UsageError, match="not an output folder of edgetl"):
        clean(tmp_path, cache=True, dry_run=False)
    with pytest.raises(UsageError, match="not an output folder of edgetl"):
        clean(tmp_path / "missing", cache=True, dry_run=False)
    assert not (tmp_path / "missing").exists()
    assert (tmp_path / "stages" / "mine").read_text() == "precious"


def test_cache_bit_flip_in_a_list_of_runs_removes_nothing(tmp_path: Path) -> None:
    """Case cache-bit-flip: with one letter of a result's name changed, that result would be taken for unused."""
    build(tmp_path, [1])
    listed = tmp_path / "runs" / "report.kept"
    data = bytearray(listed.read_bytes())
    data[-20] ^= 1
    listed.write_bytes(data)
    with pytest.raises(StoreError, match=r"report\.kept: damaged on disk: .*run `edgetl report` again"):
        clean(tmp_path, cache=False, dry_run=False)
    assert present(tmp_path)
    build(tmp_path, [1])
    assert clean(tmp_path, cache=False, dry_run=False).removed == ()


def test_without_a_list_of_runs_nothing_is_removed(tmp_path: Path) -> None:
    build(tmp_path, [1])
    (tmp_path / "runs" / "report.kept").unlink()
    with pytest.raises(UsageError, match="build once more"):
        clean(tmp_path, cache=False, dry_run=False)
    assert present(tmp_path)


def test_while_a_build_runs_nothing_is_removed(tmp_path: Path) -> None:
    build(tmp_path, [1])
    with open_store(tmp_path), pytest.raises(StoreError, match="another edgetl is working"):
        clean(tmp_path, cache=True, dry_run=False)


def test_a_run_that_changes_nothing_writes_no_list(tmp_path: Path) -> None:
    build(tmp_path, [1, 2])
    listed = tmp_path / "runs" / "report.kept"
    before = listed.stat().st_mtime_ns
    build(tmp_path, [1, 2])
    assert listed.stat().st_mtime_ns == before
    assert len(json.loads(read_sealed(listed))["results"]) == 2


def test_sigterm_leftovers_of_killed_runs_are_removed_here_and_where_temporary_files_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case sigterm-leftovers: `edgetl clean` did not know them."""
    build(tmp_path / "out", [1])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = [tmp_path / "edgetl-scratch-abcdefgh", tmp_path / "out" / "bundles" / "edgetl-scratch-01234567"]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "image.npy").write_bytes(bytes(100))
        os.utime(folder, (0, 0))
    (tmp_path / "edgetl-build").mkdir()
    told = clean(tmp_path / "out", cache=False, dry_run=True)
    assert {each.name: each.size_bytes for each in told.removed} == {str(folder): 100 for folder in left}
    assert all(folder.is_dir() for folder in left)
    assert clean(tmp_path / "out", cache=False, dry_run=False) == told
    assert not any(folder.exists() for folder in left)
    assert (tmp_path / "edgetl-build").is_dir()
