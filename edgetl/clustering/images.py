"""Images below a folder, without labels: each read once, copies and what cannot be read named."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from edgetl.data.images import SUFFIXES, UnreadableImage, decode
from edgetl.data.scan import UNNAMEABLE, is_output, locate, natural_key
from edgetl.errors import DataError, UsageError
from edgetl.store import write_text
from edgetl.text import printable
from edgetl.types import Progress, Sample, Skipped

MAX_IMAGES = 200_000


@dataclass(frozen=True)
class Found:
    """images have the label 0 for want of one; `copies` maps the path of a copy to the image that stands for it."""

    images: tuple[Sample, ...]
    skipped: tuple[Skipped, ...]
    copies: dict[str, str]


@dataclass(frozen=True)
class Listed:
    """paths  absolute, in natural order; skipped  files and folders whose names no text can hold"""

    paths: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def list_images(folder: Path) -> Listed:
    """The files below `folder` that end like an image. Opens none.

    Hidden files and folders, links to folders, and output folders of edgetl are passed over. Raises UsageError where
    there is no such folder, DataError where there is no image or more than MAX_IMAGES.
    """
    root = locate(Path(), str(folder))
    if not root.is_dir():
        raise UsageError(f"{root}: expected a folder of images; found {'a file' if root.exists() else 'nothing'}")
    if printable(str(root)) != str(root):
        raise DataError(f"{printable(str(root))}: the path holds control characters or is not UTF-8; rename it")
    skipped: list[Skipped] = []
    paths: list[str] = []
    for path in _below(root, skipped):
        paths.append(path)
        if len(paths) > MAX_IMAGES:
            raise DataError(f"{root}: more than {MAX_IMAGES} images; name one of its sub-folders")
    if not paths:
        found = f"; {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        raise DataError(f"{root}: holds no images ({', '.join(SUFFIXES[:5])}, ...), nor do the folders in it{found}")
    paths.sort(key=lambda path: natural_key(Path(os.path.relpath(path, root)).as_posix()))
    return Listed(tuple(paths), tuple(skipped))


def read_images(digests: Mapping[str, str], progress: Progress) -> Found:
    """Decode each file once; one image is held at a time. Raises DataError where none can be read.

    digests  path -> sha256 of the file's bytes, in the order the images are to have
    """
    first: dict[str, str] = {}
    images: list[Sample] = []
    skipped: list[Skipped] = []
    copies: dict[str, str] = {}
    with progress.task("reading images", total=len(digests)) as advance:
        for path, digest in digests.items():
            if digest in first:
                copies[path] = first[digest]
            elif reason := _why_not(path):
                skipped.append(Skipped(path, reason))
            else:
                first[digest] = path
                images.append(Sample(path, 0, digest))
            advance()
    if not images:
        raise DataError(f"none of {len(digests)} images can be read; the first, {skipped[0].path}: {skipped[0].reason}")
    return Found(tuple(images), tuple(skipped), copies)


def write_found(found: Found, path: Path) -> None:
    write_text(path, json.dumps(asdict(found), ensure_ascii=False) + "\n")


def read_found(path: Path) -> Found:
    """What `write_found` wrote into the store."""
    return TypeAdapter(Found).validate_json(path.read_bytes())


def _below(root: Path, skipped: list[Skipped]) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise DataError(f"{printable(str(error.filename))}: cannot be listed: {error.strerror}") from error

    def nameable(folder: str, name: str) -> bool:
        if printable(name) != name:
            skipped.append(Skipped(printable(str(Path(folder) / name)), UNNAMEABLE))
            return False
        return True

    for folder, folders, names in os.walk(root, onerror=refuse):
        inner = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        folders[:] = [name for name in inner if not is_output(Path(folder) / name) and nameable(folder, name)]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES and nameable(folder, name):
                yield str(Path(folder) / name)


def _why_not(path: str) -> str:
    try:
        decode(Path(path))
    except UnreadableImage as error:
        return error.reason
    return ""
