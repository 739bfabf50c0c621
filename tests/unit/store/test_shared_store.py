"""One folder of results for several processes."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

from edgetl.store.clean import clean
from edgetl.store.results import open_store
from edgetl.store.shared import shared_store


def _work(shared: Path, name: str, made: Path) -> None:
    def make(folder: Path) -> None:
        with made.open("a") as log:
            log.write(f"{name}\n")
        time.sleep(0.3)
        (folder / "result").write_text("same")

    with shared_store(shared, shared / name, name) as store:
        result = store.once("stage", 1, {}, make)
        assert (result.folder / "result").read_text() == "same"
        (store.out / "slot").write_text(store.cache.name)


def test_what_two_processes_need_is_made_once_and_they_work_in_slots_of_their_own(tmp_path: Path) -> None:
    shared, made = tmp_path / "out", tmp_path / "made"
    context = multiprocessing.get_context("fork")
    with open_store(shared):
        workers = [context.Process(target=_work, args=(shared, name, made)) for name in ("one", "two")]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(made.read_text().splitlines()) == 1
    assert {(shared / name / "slot").read_text() for name in ("one", "two")} == {"slot-0", "slot-1"}


def test_results_of_every_trial_count_as_used(tmp_path: Path) -> None:
    with open_store(tmp_path):
        _work(tmp_path, "one", tmp_path.parent / f"{tmp_path.name}-made")
    assert clean(tmp_path, cache=False, dry_run=False).kept == 1


def test_the_next_one_in_a_slot_finds_its_cache_but_not_what_a_killed_one_left(tmp_path: Path) -> None:
    with open_store(tmp_path):
        with shared_store(tmp_path, tmp_path / "a", "a") as store:
            store.cache.mkdir(parents=True)
            (store.cache / "features.kept").write_text("kept")
            (store.cache / "features.kept.part").write_text("half")
            (tmp_path / "scratch" / "slot-0" / "adapt").mkdir(parents=True)
        with shared_store(tmp_path, tmp_path / "b", "b") as store:
            assert [path.name for path in store.cache.iterdir()] == ["features.kept"]
            assert not store.scratch.exists()
