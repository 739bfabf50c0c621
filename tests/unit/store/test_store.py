"""The store keeps what is finished, forgets what is half-made, and refuses folders that are not ours."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from edgetl.errors import StoreError
from edgetl.store.results import MARKER, RUN_RECORD, Store, open_store


def write_number(number: int):  # type: ignore[no-untyped-def]
    def run(folder: Path) -> None:
        (folder / "number.txt").write_text(str(number))

    return run


def never(folder: Path) -> None:
    raise AssertionError("this stage was already done")


def test_a_stage_is_made_once_and_found_again(tmp_path: Path) -> None:
    with open_store(tmp_path / "out") as store:
        first = store.once("stage", 1, {"a": 1}, write_number(7))
    with open_store(tmp_path / "out") as store:
        second = store.once("stage", 1, {"a": 1}, never)
    assert (first.reused, second.reused) == (False, True)
    assert (second.folder / "number.txt").read_text() == "7"
    assert first.digest == second.digest


@pytest.mark.parametrize(
    ("version", "config", "inputs"), [(2, {"a": 1}, {}), (1, {"a": 2}, {}), (1, {"a": 1}, {"images": "00"})]
)
def test_a_stage_is_made_again_when_anything_it_depends_on_moves(
    tmp_path: Path, version: int, config: dict[str, int], inputs: dict[str, str]
) -> None:
    with open_store(tmp_path / "out") as store:
        store.once("stage", 1, {"a": 1}, write_number(1))
        again = store.once("stage", version, config, write_number(2), inputs=inputs)
    assert not again.reused
    assert (again.folder / "number.txt").read_text() == "2"


def test_a_stage_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError), open_store(tmp_path / "out") as store:
        store.once("stage", 1, {}, broken)
    assert not store.scratch.exists()
    assert not list((tmp_path / "out" / "stages").iterdir())
    with open_store(tmp_path / "out") as store:
        assert not store.scratch.exists()
        assert not store.once("stage", 1, {}, write_number(1)).reused


def test_two_equal_results_have_one_digest_whatever_they_took(tmp_path: Path) -> None:
    def timed(seconds: float):  # type: ignore[no-untyped-def]
        def run(folder: Path) -> None:
            (folder / "number.txt").write_text("7")
            (folder / RUN_RECORD).write_text(json.dumps({"seconds": seconds}))

        return run

    made = []
    for name, seconds in (("first", 1.5), ("second", 2.5)):
        with open_store(tmp_path / name) as store:
            made.append(store.once("stage", 1, {}, timed(seconds)))
    assert made[0].digest == made[1].digest
    with open_store(tmp_path / "first") as store:
        (made[0].folder / RUN_RECORD).write_text("{}")
        assert not store.once("stage", 1, {}, timed(1.5)).reused, "a damaged record of times is noticed all the same"


def test_sigterm_leftovers_of_a_killed_run_are_removed_by_the_next(tmp_path: Path) -> None:
    """Case sigterm-leftovers: half-written files, and the scratch folder of a stage."""
    out = tmp_path / "out"
    with open_store(out):
        pass
    left = ("report.json.part", "runs/report.kept.part", "stages/data-0.json.part", "cache/features/ab.digests.part")
    for name in (*left, "scratch/adapt/network.safetensors"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("half")
    with open_store(out) as store:
        assert not store.scratch.exists()
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == [MARKER]


@pytest.mark.parametrize("damage", ["change", "remove", "add"])
def test_a_damaged_result_is_made_again_and_said(tmp_path: Path, damage: str) -> None:
    notes: list[str] = []
    with open_store(tmp_path / "out", note=notes.append) as store:
        file = store.once("stage", 1, {}, write_number(1)).folder / "number.txt"
        if damage == "change":
            file.write_text("2")
        elif damage == "remove":
            file.unlink()
        else:
            (file.parent / "foreign.txt").write_text("x")
        again = store.once("stage", 1, {}, write_number(1))
    assert not again.reused
    assert (again.folder / "number.txt").read_text() == "1"
    assert notes == [f"stages/{file.parent.name}: damaged on disk; computed again"]


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(StoreError, match="not an output folder of edgetl"), open_store(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    with open_store(tmp_path):
        assert (tmp_path / MARKER).is_file()


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        open_store(tmp_path / "out"),
        pytest.raises(StoreError, match="another edgetl"),
        open_store(tmp_path / "out"),
    ):
        pass


def _first_runs(folder: Path, rounds: int, meet: Barrier, told: Queue[tuple[int, str]]) -> None:
    for each in range(rounds):
        meet.wait(60)
        try:
            with open_store(folder / str(each)):
                told.put((each, "works"))
                meet.wait(60)
        except Exception as error:
            told.put((each, str(error)))
            meet.wait(60)


def test_of_two_first_runs_in_one_new_folder_one_works_and_one_is_told_to_wait(tmp_path: Path) -> None:
    rounds, context = 60, multiprocessing.get_context("spawn")
    meet, told = context.Barrier(2), context.Queue()
    runs = [context.Process(target=_first_runs, args=(tmp_path, rounds, meet, told)) for _ in range(2)]
    for run in runs:
        run.start()
    heard = [told.get(timeout=120) for _ in range(2 * rounds)]
    for run in runs:
        run.join(60)
    for each in range(rounds):
        other, works = sorted(words for number, words in heard if number == each)
        assert works == "works"
        assert other.startswith(f"{tmp_path / str(each)}: another edgetl is working in this folder")
        assert [path.name for path in (tmp_path / str(each)).iterdir() if path.suffix == ".part"] == []
        assert json.loads((tmp_path / str(each) / MARKER).read_text())["schema"] == 1


def test_a_folder_whose_claim_was_cut_short_is_taken(tmp_path: Path) -> None:
    (tmp_path / MARKER).touch()
    with open_store(tmp_path):
        assert json.loads((tmp_path / MARKER).read_text())["schema"] == 1


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "no space left"), (errno.EROFS, "read-only"), (errno.EACCES, "no permission")]
)
def test_disk_trouble_is_one_clear_line_and_keeps_what_was_done(tmp_path: Path, number: int, words: str) -> None:
    def trouble(folder: Path) -> None:
        raise OSError(number, "trouble", str(folder / "model.onnx"))

    with open_store(tmp_path / "out") as store:
        done = store.once("first", 1, {}, write_number(1))
        with pytest.raises(StoreError, match=words):
            store.once("second", 1, {}, trouble)
    assert (done.folder / "number.txt").read_text() == "1"


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="a part of the path is a file"), open_store(tmp_path / "file" / "out"):
        pass
    with pytest.raises(StoreError, match="expected a folder"), open_store(tmp_path / "file"):
        pass


def test_each_stage_has_its_own_memory_peak(tmp_path: Path) -> None:
    def hungry(folder: Path) -> None:
        block = bytearray(200_000_000)
        block[::4096] = b"x" * len(block[::4096])

    store = Store(tmp_path)
    large = store.once("large", 1, {}, hungry)
    small = store.once("small", 1, {}, write_number(1))
    assert large.peak_rss_bytes > small.peak_rss_bytes + 100_000_000


def test_what_was_made_can_be_read_by_others_as_the_umask_says(tmp_path: Path) -> None:
    def private(folder: Path) -> None:
        (folder / "weights").write_bytes(b"x")
        (folder / "weights").chmod(0o600)

    before = os.umask(0o022)
    try:
        result = Store(tmp_path).once("stage", 1, {}, private)
    finally:
        os.umask(before)
    assert (result.folder / "weights").stat().st_mode & 0o777 == 0o644
