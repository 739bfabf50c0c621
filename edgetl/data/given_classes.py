"""The classes of a network of the user's own: those that its scores stand for, in their order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgetl.data.lists import check_label
from edgetl.data.names import in_quotes, one_form
from edgetl.data.scan import Listing, locate
from edgetl.errors import DataError, UsageError
from edgetl.files.text import nearest

_MAX_BYTES = 10_000_000


def read_classes(base: Path, name: str) -> tuple[str, ...]:
    """One name a line, or a JSON list of names. Raises UsageError."""
    path = locate(base, name)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"{path}: expected class names, one a line; found {path.stat().st_size} bytes")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"{path}: cannot read the class names (network.classes): {reason}") from error
    names = [one_form(each) for each in _names(text, path)]
    seen: set[str] = set()
    for number, each in enumerate(names, 1):
        try:
            check_label(each, f"{path}: name {number}")
        except DataError as error:
            raise UsageError(str(error)) from error
        if each in seen:
            raise UsageError(f"{path}: `{each}` is listed twice; classes need names of their own")
        seen.add(each)
    if len(names) < 2:
        raise UsageError(f"{path}: expected at least two class names, one a line; found {len(names)}")
    return tuple(names)


def _names(text: str, path: Path) -> list[str]:
    if not text.lstrip().startswith("["):
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        values = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{path}: expected a JSON list of class names; it is not JSON") from error
    if not all(isinstance(value, str) for value in values):
        raise UsageError(f"{path}: expected a JSON list of class names; found other values")
    return [str(value) for value in values]


def with_classes(listing: Listing, classes: Sequence[str]) -> Listing:
    """The files with labels in the order of `classes`, of which some may have no files. Raises DataError."""
    places = {name: place for place, name in enumerate(classes)}
    unknown = [name for name in listing.classes if name not in places]
    if unknown:
        raise DataError(
            f"{listing.where}: {in_quotes(unknown)} {'is' if len(unknown) == 1 else 'are'} not among the "
            f"{len(classes)} classes of the network; {nearest(unknown[0], tuple(classes))}"
        )
    files = sorted(((path, places[listing.classes[label]]) for path, label in listing.files), key=lambda each: each[1])
    return replace(listing, classes=tuple(classes), files=tuple(files))
