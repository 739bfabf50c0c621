"""Remove results in an output folder that the last run of no command used. Everything removed can be made again."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgetl.errors import UsageError
from edgetl.files.temporary import abandoned
from edgetl.store.results import MARKER, Store, disk_errors, open_store


@dataclass(frozen=True)
class Unused:
    """What is not needed. `name`: a result's folder in `stages`, `cache`, or the path of a killed run's folder."""

    name: str
    size_bytes: int


@dataclass(frozen=True)
class Cleaned:
    """removed  what was removed, or would have been in a dry run; kept  results that stay"""

    removed: tuple[Unused, ...]
    kept: int
    kept_bytes: int
    cache_bytes: int

    @property
    def freed_bytes(self) -> int:
        return sum(each.size_bytes for each in self.removed)


def clean(out: Path, *, cache: bool, dry_run: bool) -> Cleaned:
    """Remove unused results and what killed runs left, with `cache` also what makes redoing stages fast.

    cache_bytes of the answer is what stays of it.
    raises  UsageError for a folder that is no output of edgetl or knows of no run; StoreError where another run works
            in it or it cannot be written.
    """
    if not (out / MARKER).is_file():
        raise UsageError(f"{out}: not an output folder of edgetl (no {MARKER}); expected the --out of a build")
    with open_store(out, "clean") as store, disk_errors(out):
        used = store.runs.used()
        if not used and any(store.stages.iterdir()):
            raise UsageError(f"{out}: no finished run is recorded, so nothing is known to be unused; build once more")
        unused = _unused(store, used)
        kept = [path for path in store.stages.iterdir() if path.is_dir() and path.name in used]
        if cache and store.cache.is_dir():
            unused.append(Unused(store.cache.name, _size(store.cache)))
        unused += [Unused(str(path), _size(path)) for path in _leftovers(out)]
        if not dry_run:
            for each in unused:
                _remove(store, each)
        return Cleaned(
            removed=tuple(unused),
            kept=len(kept),
            kept_bytes=sum(map(_size, kept)),
            cache_bytes=0 if cache else _size(store.cache),
        )


def _leftovers(out: Path) -> list[Path]:
    """Temporary folders of runs that were killed: anywhere on this machine's usual place, and in the output."""
    return [path for place in (Path(tempfile.gettempdir()), out, out / "bundles") for path in abandoned(place)]


def _unused(store: Store, used: set[str]) -> list[Unused]:
    """Largest first: folders, finished or not, and records. Other files there are not ours."""
    folders = {path.name for path in store.stages.iterdir() if path.is_dir()}
    names = (folders | {path.stem for path in store.stages.glob("*.json")}) - used
    found = [Unused(name, _size(store.stages / name) + _size(store.stages / f"{name}.json")) for name in names]
    return sorted(found, key=lambda each: (-each.size_bytes, each.name))


def _remove(store: Store, unused: Unused) -> None:
    if unused.name == store.cache.name:
        shutil.rmtree(store.cache)
        return
    if Path(unused.name).is_absolute():
        shutil.rmtree(unused.name, ignore_errors=True)
        return
    # the record first: a folder without one is not finished, whatever a kill leaves of it
    (store.stages / f"{unused.name}.json").unlink(missing_ok=True)
    folder = store.stages / unused.name
    if folder.is_dir():
        shutil.rmtree(folder)


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 for what is not there."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
