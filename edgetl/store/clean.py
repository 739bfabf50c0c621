"""Removes results in an output folder that no command's latest run uses. Everything removed can be computed again."""

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
    """An unused item. `name`: a result's folder in `stages`, `cache`, or the path of a killed run's folder."""

    name: str
    size_bytes: int


@dataclass(frozen=True)
class Cleaned:
    """removed  the removed items, or those that a dry run would remove; kept  results that stay"""

    removed: tuple[Unused, ...]
    kept: int
    kept_bytes: int
    cache_bytes: int

    @property
    def freed_bytes(self) -> int:
        return sum(each.size_bytes for each in self.removed)


def clean(out: Path, *, cache: bool, dry_run: bool) -> Cleaned:
    """Remove unused results and leftovers of killed runs; with `cache` also the caches that make repeating stages fast.

    `cache_bytes` of the result is the size of the cache that stays.
    raises  UsageError for a folder that is not an output of edgetl or records no run; StoreError if another run works
            in it or it cannot be written.
    """
    if not (out / MARKER).is_file():
        raise UsageError(f"{out}: not an output folder of edgetl (no {MARKER}); expected the --out of a build")
    with open_store(out, "clean") as store, disk_errors(out):
        used = store.runs.used()
        if not used and any(store.stages.iterdir()):
            raise UsageError(
                f"{out}: no finished run is recorded, so it is unknown which results are unused; build once more"
            )
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
    """Temporary folders of killed runs: in this machine's usual place, and in the output."""
    return [path for place in (Path(tempfile.gettempdir()), out, out / "bundles") for path in abandoned(place)]


def _unused(store: Store, used: set[str]) -> list[Unused]:
    """Largest first: folders, finished or not, and records. Other files there do not belong to edgetl."""
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
    # the record first: a folder without one counts as unfinished, whatever a kill leaves of it
    (store.stages / f"{unused.name}.json").unlink(missing_ok=True)
    folder = store.stages / unused.name
    if folder.is_dir():
        shutil.rmtree(folder)


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 if it does not exist."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
