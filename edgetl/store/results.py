"""Stage results on disk, keyed by content: written to a scratch folder, then renamed.

A stage is a function that fills a folder from a configuration and inputs. Its key is the digest of the stage's name
and version, the configuration and the digests of the inputs, so a result is reused only if nothing changed. A killed
run leaves only a scratch folder, which the next run removes.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edgetl.errors import StoreError
from edgetl.files.digest import file_digest, folder_digests, value_digest
from edgetl.files.durable import Damaged, put, read_sealed, write_sealed, write_text
from edgetl.files.temporary import comes_of_full_disk
from edgetl.store.memory import peak_rss_bytes, reset_peak_rss

MARKER = "edgetl-output.json"
RUN_RECORD = "run.json"
"""Values that differ between equal runs: seconds, threads. Stored, but not part of the result's digest."""
_MARKER_TEXT = json.dumps({"schema": 1, "what": "output folder of edgetl; it may be deleted as a whole"}) + "\n"
_SCHEMA = 1


@dataclass(frozen=True)
class StageResult:
    """A finished stage: its folder, the digest of its content (except RUN_RECORD), and its time and memory.

    what  distinguishes results of one stage: a target, a scheme; empty if there is only one
    """

    stage: str
    folder: Path
    digest: str
    reused: bool
    seconds: float
    peak_rss_bytes: int
    what: str = ""

    @property
    def title(self) -> str:
        """`compile x86-cpu int8`."""
        return f"{self.stage} {self.what}".rstrip()


class Store:
    """The output folder of one recipe. Use `open_store`, which also locks it."""

    def __init__(self, out: Path, run: str = "build", note: Callable[[str], None] = lambda _: None) -> None:
        self.out, self.note = out, note
        self.runs = Runs(out / "runs", run)
        self.stages = out / "stages"
        self.scratch = out / "scratch"
        self.cache = out / "cache"  # named by content; kept between runs, so that a killed stage resumes
        self.making: Callable[[str], AbstractContextManager[object]] = lambda _: nullcontext()  # holds a result's name

    def once(
        self,
        stage: str,
        version: int,
        config: Mapping[str, Any],
        run: Callable[[Path], None],
        *,
        inputs: Mapping[str, str] | None = None,
        what: str = "",
    ) -> StageResult:
        """Return the stored result of this stage, or make it with `run(folder)`.

        config and inputs must be JSON values; inputs maps a name to a digest. `what` is only for people.
        raises  StoreError if the folder cannot be written; the errors of `run`.
        """
        key = value_digest({"stage": stage, "version": version, "config": config, "inputs": dict(inputs or {})})
        folder = self.stages / f"{stage}-{key[:16]}"
        with self.making(folder.name):
            found = self._read(folder, stage, key, what)
            if found:
                with disk_errors(self.out):
                    self.runs.note(folder.name)
                return found
            inputs = dict(inputs or {})
            record = {"stage": stage, "version": version, "key": key, "config": config, "inputs": inputs}
            return self._make(folder, record, run, what)

    def _make(self, folder: Path, record: dict[str, Any], run: Callable[[Path], None], what: str) -> StageResult:
        stage = record["stage"]
        with disk_errors(self.out):
            scratch = self._fresh_scratch(stage)
            reset_peak_rss()
            started = time.monotonic()
            run(scratch)
            seconds = round(time.monotonic() - started, 3)
            peak = peak_rss_bytes()
            digests = folder_digests(scratch)
            record |= {"schema": _SCHEMA, "files": digests, "seconds": seconds, "peak_rss_bytes": peak}
            put(scratch, folder)
            # the record comes last: a folder without it is unfinished and made again
            write_text(_record_path(folder), json.dumps(record, indent=1, sort_keys=True) + "\n")
            self.runs.note(folder.name)
        return StageResult(stage, folder, result_digest(digests), False, seconds, peak, what)

    def _read(self, folder: Path, stage: str, key: str, what: str) -> StageResult | None:
        try:
            record = json.loads(_record_path(folder).read_text(encoding="utf-8"))
            intact = record["schema"] == _SCHEMA and record["key"] == key and _intact(folder, record["files"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            intact = False
        if not intact:
            self.note(f"stages/{folder.name}: damaged on disk; computed again")
            return None
        return StageResult(
            stage, folder, result_digest(record["files"]), True, record["seconds"], record["peak_rss_bytes"], what
        )

    def _fresh_scratch(self, stage: str) -> Path:
        folder = self.scratch / stage
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        return folder


class Runs:
    """The results that each command's latest run used, for `edgetl clean`: one sealed file per command in `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._path = folder, folder / f"{name}.kept"
        self._used: set[str] = set()
        try:
            self._written = _read_results(self._path)
        except Damaged:
            self._written = set()

    def note(self, result: str) -> None:
        """Record that a result is used. Until the run ends, those of the previous run count too: this one may be
        killed."""
        self._used.add(result)
        if result not in self._written:
            self._write(self._written | {result})

    def end(self) -> None:
        """The run is over: results that it did not use are not needed."""
        if self._used and self._used != self._written:
            self._write(self._used)

    def used(self) -> set[str]:
        """Results used by the latest run of any command. Raises StoreError if the file of one is damaged."""
        try:
            return {name for path in self._folder.glob("*.kept") for name in _read_results(path)}
        except Damaged as error:
            raise StoreError(f"{error}; run `edgetl {error.path.stem}` again to rewrite it") from error

    def _write(self, names: set[str]) -> None:
        self._folder.mkdir(exist_ok=True)
        write_sealed(self._path, (json.dumps({"results": sorted(names)}, indent=1) + "\n").encode())
        self._written = set(names)


def _read_results(path: Path) -> set[str]:
    """Raises Damaged."""
    try:
        return set(json.loads(read_sealed(path))["results"])
    except FileNotFoundError:
        return set()


@contextmanager
def open_store(out: Path, run: str = "build", note: Callable[[str], None] = lambda _: None) -> Iterator[Store]:
    """Lock `out` for one run, creating it; remove leftovers of a killed run.

    run     the command, whose results are remembered until it runs again
    note    gets one line about a result that was damaged on disk
    raises  StoreError if `out` has other content, is read-only, or another run works in it.
    """
    with disk_errors(out), _claim(out):
        store = Store(out, run, note)
        shutil.rmtree(store.scratch, ignore_errors=True)
        for part in half_written(out):
            part.unlink(missing_ok=True)
        store.stages.mkdir(exist_ok=True)
        try:
            yield store
            store.runs.end()
        finally:
            shutil.rmtree(store.scratch, ignore_errors=True)


def half_written(out: Path) -> list[Path]:
    """Leftovers of killed runs in the scratch folder."""
    places = (out, out / "runs", out / "stages", *(path for path in (out / "cache").glob("*") if path.is_dir()))
    return [path for place in (*places, out / "cache") for path in place.glob("*.part") if path.is_file()]


@contextmanager
def disk_errors(out: Path) -> Iterator[None]:
    """Turn a full or read-only disk into one clear line; finished results are not lost."""
    try:
        yield
    except Exception as error:
        number = _disk_trouble(error, out)
        hints = {
            errno.ENOSPC: "no space left on the device; free some and run again: finished stages are kept",
            errno.EDQUOT: "the disk quota is exceeded; free some space and run again: finished stages are kept",
            errno.EROFS: "the file system is read-only; choose another folder with --out",
            errno.EACCES: "no permission to write there; choose another folder with --out",
            errno.EPERM: "no permission to write there; choose another folder with --out",
            errno.ENOTDIR: "a part of the path is a file; choose another folder with --out",
        }
        if number not in hints:
            raise
        raise StoreError(f"{_written(error, out)}: {hints[number]}") from error


def _disk_trouble(error: Exception, out: Path) -> int | None:
    """The error number of an exception: its own, from a library's message, or from the disk itself."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    for number in (errno.EDQUOT, errno.EROFS):
        if os.strerror(number) in str(error):
            return number
    return errno.ENOSPC if comes_of_full_disk(error, out) else None


def _written(error: Exception, out: Path) -> str:
    """The path that could not be written; the error of a copy also names its source."""
    named = [error.filename2, error.filename] if isinstance(error, OSError) else []
    names = [str(name) for name in named if name is not None]
    inside = [name for name in names if Path(name).is_relative_to(out)]
    return (inside or (names if len(names) == 1 else [str(out)]))[0]


@contextmanager
def _claim(out: Path) -> Iterator[None]:
    """Create `out` and its marker if they are missing, and hold the marker's lock.

    The marker is written under its own lock and never replaced, so two concurrent first runs lock the same file.
    """
    if out.exists() and not out.is_dir():
        raise StoreError(f"{out}: expected a folder, found a file; choose another one with --out")
    out.mkdir(parents=True, exist_ok=True)
    # in this order: another run may be writing its marker, and other files come after it
    if any(path.name != MARKER for path in out.iterdir()) and not (out / MARKER).is_file():
        raise StoreError(
            f"{out}: not empty and not an output folder of edgetl (no {MARKER}); choose an empty or new one with --out"
        )
    with os.fdopen(os.open(out / MARKER, os.O_CREAT | os.O_RDWR, 0o666), "r+", encoding="utf-8") as marker:
        _lock(marker, out)
        if not os.fstat(marker.fileno()).st_size:  # new, or left by a run that was killed right here
            marker.write(_MARKER_TEXT)
            marker.flush()
            os.fsync(marker.fileno())
        yield


def _lock(marker: IO[str], out: Path) -> None:
    try:
        fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreError(
            f"{out}: another edgetl is working in this folder; wait for it or choose another --out"
        ) from error


def result_digest(files: Mapping[str, str]) -> str:
    """Digest of a stage's result, from the digests of its files. Run times do not count: they differ from run to run,
    and later stages must not be repeated for that."""
    return value_digest({name: digest for name, digest in files.items() if name != RUN_RECORD})


def _record_path(folder: Path) -> Path:
    # beside the folder, which holds only the stage's own files
    return folder.with_name(folder.name + ".json")


def _intact(folder: Path, files: Mapping[str, str]) -> bool:
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return present == set(files) and all(file_digest(folder / name) == digest for name, digest in files.items())
