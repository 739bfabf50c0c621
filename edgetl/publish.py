"""Put what a user takes away beside the stages: `pivot/`, `bundles/<name>/`, report.html, report.json.

Each is copied aside and renamed, so that it is the old one or the whole new one at any moment; what is current stays.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from edgetl.digest import folder_digests
from edgetl.store import StageResult, Store, disk_errors, put

PIVOT = "pivot"
BUNDLES = "bundles"
REPORT_FILES = ("report.html", "report.json")


def publish_pivot(store: Store, pivot: StageResult) -> None:
    """`<out>/pivot`: what `edgetl compile` takes on a machine without torch."""
    _publish(store, pivot.folder, store.out / PIVOT)


def publish_report(store: Store, reported: StageResult, texts: StageResult | None = None) -> dict[str, Any]:
    """`<out>/bundles/*` and the two report files. Returns report.json's content.

    texts  the stage that wrote the report files, where it is not the one that wrote the bundles.
    """
    report_folder = (texts or reported).folder
    wanted = _names_in(reported.folder / BUNDLES)
    for name in wanted:
        _publish(store, reported.folder / BUNDLES / name, store.out / BUNDLES / name)
    with disk_errors(store.out):
        for name in _names_in(store.out / BUNDLES):
            if name not in wanted:
                shutil.rmtree(store.out / BUNDLES / name)
        for name in REPORT_FILES:
            _copy_file(report_folder / name, store.out / name)
    report: dict[str, Any] = json.loads((report_folder / "report.json").read_text(encoding="utf-8"))
    return report


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
    # nothing ships where no build of any target could be run
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _copy_file(source: Path, place: Path) -> None:
    content = source.read_bytes()
    if place.is_file() and place.read_bytes() == content:
        return
    aside = place.with_name(place.name + ".part")
    aside.write_bytes(content)
    aside.replace(place)
