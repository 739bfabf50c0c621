"""Images below a folder, without labels: each is read once; copies and unreadable files are named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from edgetl.errors import DataError
from edgetl.files.durable import write_text
from edgetl.fronts.image.decode import UnreadableImage, decode
from edgetl.types import Progress, Sample, Skipped


@dataclass(frozen=True)
class Found:
    """images have the placeholder label 0; `copies` maps the path of a copy to the image that represents it."""

    images: tuple[Sample, ...]
    skipped: tuple[Skipped, ...]
    copies: dict[str, str]


def read_images(digests: Mapping[str, str], progress: Progress) -> Found:
    """Decode each file once, holding one image at a time. Raises DataError if none can be read.

    digests  path -> sha256 of the file's bytes, in the order of the images
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
    """Read the result of `write_found` from the store."""
    return TypeAdapter(Found).validate_json(path.read_bytes())


def _why_not(path: str) -> str:
    try:
        decode(Path(path))
    except UnreadableImage as error:
        return error.reason
    return ""
