"""Identifies labeled images without decoding them: hashes the bytes of the files in parallel."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgetl.data.annotations.model import Annotated
from edgetl.data.object_sources import read_object_sources
from edgetl.data.scan import Listing
from edgetl.data.sources import read_sources
from edgetl.files.rows import row_of
from edgetl.fronts.audio.piece import piece_of
from edgetl.fronts.audio.window import USUAL_S
from edgetl.fronts.base import Parted, Unreadable, load_front
from edgetl.recipes.data import Data
from edgetl.recipes.recipe import Task
from edgetl.types import FrontName

_THREADS = 8


def fingerprint(
    config: Data,
    base: Path,
    task: Task = "classification",
    front: FrontName = "image",
    window_s: float = USUAL_S,
) -> str:
    """sha256 over everything under `data.train` and `data.val`: classes, relative names, labels, the bytes of the
    files, the names of skipped files, and the text of CSV lists. Hex.

    For detection: classes, relative names and bytes of the images, and the bytes of all annotation files.
    It stays equal if both are moved together; the settings in `config` (shots, seed, ...) are not part of it.
    Decodes nothing. Raises UsageError and DataError as `scan` does.
    """
    if task == "detection":
        return _of_objects(config, base)
    sources = read_sources(config, base, front, window_s)
    parts = [_describe(listing, front) for listing in dict.fromkeys((sources.train, sources.val))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _of_objects(config: Data, base: Path) -> str:
    sources = read_object_sources(config, base)
    sides = (sources.train,) if sources.val is sources.train else (sources.train, sources.val)
    return hashlib.sha256(json.dumps([_describe_objects(side) for side in sides]).encode()).hexdigest()


def _describe_objects(side: Annotated) -> dict[str, object]:
    listing = side.listing()
    digests = hash_files((*side.files, *(image.path for image in side.images)))
    return {
        "annotations": [digests[path] for path in side.files],
        "classes": side.classes,
        "files": [(listing.name_of(image.path), digests[image.path]) for image in side.images],
        "skipped": [(listing.name_of(skipped.path), skipped.reason) for skipped in side.skipped],
    }


def hash_examples(paths: Iterable[str], front: FrontName) -> dict[str, str]:
    """sha256 of each file's bytes, or of the content of a row or a part; hex, "" for one that cannot be read."""
    unique, kind = list(dict.fromkeys(paths)), load_front(front)
    if not isinstance(kind, Parted):
        return hash_files(unique)
    parts = {path for path in unique if row_of(path) or piece_of(path)}
    digests = hash_files(path for path in unique if path not in parts)
    return digests | {path: _hash_part(path, kind) for path in unique if path in parts}


def hash_files(paths: Iterable[str]) -> dict[str, str]:
    """sha256 of each file's bytes, hex; "" for a file that cannot be read."""
    unique = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(max_workers=min(_THREADS, 2 * (os.cpu_count() or 1))) as pool:
        return dict(zip(unique, pool.map(_hash_file, unique), strict=True))


def _describe(listing: Listing, front: FrontName) -> dict[str, object]:
    text = "" if listing.list is None else _hash_file(str(listing.list))
    if listing.rows_of:  # the table holds all that its rows do
        return {
            "table": text,
            "name": Path(listing.where).name,
            "classes": listing.classes,
            "measures": listing.measures,
        }
    digests = hash_examples((path for path, _ in listing.files), front)
    return {
        "list": text,
        "classes": listing.classes,
        "files": [(listing.name_of(path), label, digests[path]) for path, label in listing.files],
        "skipped": [(listing.name_of(skipped.path), skipped.reason) for skipped in listing.skipped],
    }


def _hash_part(path: str, front: Parted) -> str:
    try:
        return hashlib.sha256(front.content(Path(path))).hexdigest()
    except Unreadable:
        return ""


def _hash_file(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
