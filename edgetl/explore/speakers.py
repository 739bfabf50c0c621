"""Who speaks in which clip, if the names of the files tell it beyond doubt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from edgetl.data.scan import Listing
from edgetl.fronts.audio.piece import piece_of

_SPEECH_COMMANDS = r"([0-9a-f]{8})(_nohash_\d+)?\.\w+$"
"""Names of Google's Speech Commands: a hash of the speaker, and a counter."""
_CLIPS_EACH = 3
"""Clips per speaker, on average, below which a part of the name is no speaker."""


def speaker_pattern(train: Listing, val: Listing | None) -> str:
    """A pattern for `data.group_by`; "" if nothing in the names is surely a speaker.

    Either all names are those of Speech Commands and some speaker has two clips, or all have equally many parts
    between `_` or `-`, and exactly one part has a letter in every name, several clips for each value, and values that
    recur in other classes: the class's own name and a counter do not.
    """
    labeled = [
        (listing.name_of(path), label)
        for listing in (train, val)
        if listing
        for path, label in listing.files
        if piece_of(path) is None
    ]
    found = [re.search(_SPEECH_COMMANDS, name) for name, _ in labeled]
    hashes = [match[1] for match in found if match]
    if len(hashes) == len(labeled):
        return _SPEECH_COMMANDS if len(set(hashes)) < len(hashes) else ""
    return next((pattern for sign in "_-" if (pattern := _by_parts(labeled, sign))), "")


def _by_parts(labeled: Sequence[tuple[str, int]], sign: str) -> str:
    rows = [PurePosixPath(name).stem.split(sign) for name, _ in labeled]
    count = len(rows[0])
    if count < 2 or any(len(row) != count for row in rows):
        return ""
    labels = [label for _, label in labeled]
    places = [place for place in range(count) if _is_speaker([row[place] for row in rows], labels)]
    if len(places) != 1:
        return ""
    part = f"[^/{sign}]+"
    return f"({part}){(sign + part) * (count - places[0] - 1)}" + r"\.\w+$"


def _is_speaker(values: Sequence[str], labels: Sequence[int]) -> bool:
    if not all(re.search(r"[^\W\d_]", value) for value in values):
        return False
    classes: dict[str, set[int]] = {}
    for value, label in zip(values, labels, strict=True):
        classes.setdefault(value, set()).add(label)
    several = all(len(own) > 1 for own in classes.values())
    return 2 <= len(classes) <= len(values) / _CLIPS_EACH and several
