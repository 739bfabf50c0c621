"""Publishes the results for the user beside the stages: `pivot/`, `bundles/<name>/`, report.html, report.json.

Each is copied to a scratch folder and renamed, so it is the old or the complete new one at any moment; current results
stay. People also work in `bundles/`, so only files that edgetl put there are replaced or removed: `published.json`
lists them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from edgetl.bundle.manifest import read_manifest
from edgetl.bundle.read import read_bundle
from edgetl.errors import BundleError, StoreError
from edgetl.files.digest import folder_digests, value_digest
from edgetl.files.durable import put, write_bytes, write_text
from edgetl.pivot.pivot import FOLDER
from edgetl.store.results import StageResult, Store, disk_errors

BUNDLES = "bundles"
RECORD = "published.json"
REPORT_FILES = ("report.html", "report.json")


def publish_pivot(store: Store, pivot: StageResult) -> None:
    """`<out>/pivot`: the input of `edgetl compile` on a machine without torch."""
    _publish(store, pivot.folder, store.out / FOLDER)


def publish_report(store: Store, reported: StageResult, texts: StageResult | None = None) -> None:
    """`<out>/bundles/*` and the two report files.

    A bundle that was finished for this device (`edgetl compile --finish`) stays as long as its files are the same.

    texts   the stage that wrote the report files, if it is not the one that wrote the bundles.
    raises  StoreError for a folder in a bundle's place that edgetl did not write, or that was edited since.
    """
    report_folder = (texts or reported).folder
    with disk_errors(store.out):
        _publish_bundles(store, reported.folder / BUNDLES)
        for name in REPORT_FILES:
            _copy_file(report_folder / name, store.out / name)


def _publish_bundles(store: Store, made: Path) -> None:
    before = _recorded(store.out)
    wanted = {name: _digest(made / name) for name in _names_in(made)}
    places = {name: store.out / BUNDLES / name for name in {**before, **wanted}}
    due = [name for name in wanted if not _is_current(places[name], made / name)]
    for name in due:
        _refuse_foreign(places[name], before.get(name, []))
    # until all are in place, both old and new bundles are ours: a kill may come between any two
    _record(store.out, {name: [*before.get(name, []), *_given(wanted.get(name))] for name in places})
    for name in due:
        _publish(store, made / name, places[name])
    for name in before:
        if name not in wanted and _is_one_of(places[name], before[name]):
            shutil.rmtree(places[name])
    _record(store.out, {name: [digest] for name, digest in wanted.items()})


def _is_current(place: Path, source: Path) -> bool:
    """Whether `place` is the bundle in `source`, or that bundle finished on this device."""
    if not place.is_dir():
        return False
    if folder_digests(place) == folder_digests(source):
        return True
    try:
        there, made = read_bundle(place).manifest, read_manifest(source)
    except BundleError:
        return False
    same = all(getattr(there, field) == getattr(made, field) for field in ("target", "pivot_sha256", "preprocessing"))
    finished = there.compiled.finished and not made.compiled.finished
    kept = made.files.items() <= there.files.items()  # labels and golden vectors are among them
    return finished and same and there.compiled.precision == made.compiled.precision and kept


def _refuse_foreign(place: Path, digests: Sequence[str]) -> None:
    if not (place.exists() or place.is_symlink()) or _is_one_of(place, digests):
        return
    try:
        # complete and under its own name: finished for a device, or put there by a killed run
        if not place.is_symlink() and read_bundle(place).manifest.name == place.name:
            return
    except BundleError:
        pass
    raise StoreError(
        f"{place}: changed since edgetl wrote it, and a new bundle must replace it; move it away and run again: "
        "finished stages are kept"
    )


def _is_one_of(place: Path, digests: Sequence[str]) -> bool:
    return place.is_dir() and not place.is_symlink() and _digest(place) in digests


def _digest(folder: Path) -> str:
    return value_digest(folder_digests(folder))


def _given(digest: str | None) -> list[str]:
    return [] if digest is None else [digest]


def _recorded(out: Path) -> dict[str, list[str]]:
    """The digests of each bundle as last published, by name; two if that was interrupted."""
    try:
        bundles = json.loads((out / RECORD).read_text(encoding="utf-8"))[BUNDLES]
        return {str(name): [str(digest) for digest in digests] for name, digests in bundles.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _record(out: Path, bundles: dict[str, list[str]]) -> None:
    unique = {name: sorted(set(digests)) for name, digests in bundles.items()}
    if unique != _recorded(out):
        write_text(out / RECORD, json.dumps({BUNDLES: unique}, indent=1, sort_keys=True) + "\n")


def _publish(store: Store, source: Path, place: Path) -> None:
    with disk_errors(store.out):
        content = folder_digests(source)
        if place.is_dir() and folder_digests(place) == content:
            return
        aside = store.scratch / place.name
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        for name in content:
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, aside / name)
        put(aside, place)


def _names_in(folder: Path) -> list[str]:
    # nothing ships if no build of any target could run
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _copy_file(source: Path, place: Path) -> None:
    content = source.read_bytes()
    if place.is_file() and place.read_bytes() == content:
        return
    write_bytes(place, content)
