"""One folder of stage results for several processes, which take part in turns or at once (`edgetl sweep`).

Each result is made by one process while the others that need it wait. Each process works in a slot of its own: scratch
space, and a cache that the slot keeps for whoever has it next. All locks end with the process that holds them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgetl.store.results import Runs, Store, disk_errors

_MOST_SLOTS = 4096


@contextmanager
def shared_store(shared: Path, out: Path, run: str, note: Callable[[str], None] = lambda _: None) -> Iterator[Store]:
    """A store whose results go to `shared`, and what it publishes to `out`, a folder below it.

    run     the name under which `shared` remembers the results that are used here
    raises  StoreError if the folders cannot be written.
    """
    with disk_errors(shared):
        for folder in (out, shared / "stages", shared / "locks", shared / "scratch"):
            folder.mkdir(parents=True, exist_ok=True)
        with _slot(shared / "locks") as slot:
            store = Store(out, run, note)
            store.runs = Runs(shared / "runs", run)
            store.stages, store.scratch, store.cache = (
                shared / "stages",
                shared / "scratch" / slot,
                shared / "cache" / slot,
            )
            store.making = lambda name: _held(shared / "locks" / f"{name}.lock")
            shutil.rmtree(store.scratch, ignore_errors=True)
            for part in store.cache.rglob("*.part"):
                part.unlink(missing_ok=True)
            try:
                yield store
                store.runs.end()
            finally:
                shutil.rmtree(store.scratch, ignore_errors=True)


@contextmanager
def _slot(locks: Path) -> Iterator[str]:
    """The first slot that no other process has."""
    for number in range(_MOST_SLOTS):
        name = f"slot-{number}"
        descriptor = os.open(locks / f"{name}.lock", os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        try:
            yield name
        finally:
            os.close(descriptor)
        return
    raise OSError(f"{locks}: all {_MOST_SLOTS} slots are taken")


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Wait for a lock and hold it."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
