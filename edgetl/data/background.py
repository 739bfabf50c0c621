"""Classes of background noise: windows of long recordings, in folders whose name begins with `_background`.

Speech Commands has such a folder, `_background_noise_`. Windows of one recording sound alike, so that a recording is
a group: all its windows are in training, or all are in validation.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from edgetl.data.scan import Listing
from edgetl.fronts.audio.decode import decode
from edgetl.fronts.audio.piece import Piece, piece_of
from edgetl.fronts.base import Unreadable
from edgetl.types import Skipped

PREFIX = "_background"
_TIMES = 2
"""Windows in all, as a multiple of the clips of the largest other class: half of them may be for validation."""
_ALONE = 100
"""Windows if there is no other class."""


def is_background(label: str) -> bool:
    return label.lower().startswith(PREFIX)


def with_windows(listing: Listing, window_s: float) -> Listing:
    """The listing with the recordings of its background classes cut into windows, spread evenly over all of them.

    Recordings that cannot be read stay, so that the split names them; shorter ones than a window are skipped.
    """
    noisy = [label for label, name in enumerate(listing.classes) if is_background(name)]
    if not noisy:
        return listing
    others = [count for label, count in enumerate(listing.counts()) if label not in noisy]
    most = _TIMES * max(others, default=0) or _ALONE
    skipped, length_ms = list(listing.skipped), math.ceil(1000 * window_s)
    files: list[tuple[str, int]] = []
    for label in range(len(listing.classes)):
        own = [path for path, each in listing.files if each == label]
        if label in noisy:
            cut = [window for path in own for window in _windows(path, length_ms, skipped)]
            own = [cut[index * len(cut) // most] for index in range(most)] if len(cut) > most else cut
        files += [(path, label) for path in own]
    return replace(listing, files=tuple(files), skipped=tuple(skipped))


def lent(train: Listing, val: Listing) -> Listing:
    """`val` with the background windows of `train`, if it has none itself; the draw keeps recordings on one side."""
    absent = [name for name in train.classes if name not in val.classes and is_background(name)]
    if not absent or any(map(is_background, val.classes)):
        return val
    classes = tuple(name for name in train.classes if name in val.classes or name in absent)
    if not set(val.classes) <= set(classes):
        return val
    files = [(path, val.classes[label]) for path, label in val.files]
    files += [(path, train.classes[label]) for path, label in train.files if train.classes[label] in absent]
    ordered = sorted(((path, classes.index(name)) for path, name in files), key=lambda file: file[1])
    return replace(val, classes=classes, files=tuple(ordered))


def recordings(listing: Listing) -> dict[str, str]:
    """path -> name of its recording, of those that are windows of one; independent of the location of the data."""
    pieces = ((path, piece_of(path)) for path, _ in listing.files)
    return {path: listing.name_of(str(piece.recording)) for path, piece in pieces if piece}


def _windows(path: str, length_ms: int, skipped: list[Skipped]) -> list[str]:
    if piece_of(path):
        return [path]
    try:
        sound = decode(Path(path))
    except Unreadable:
        return [path]
    whole = 1000 * len(sound.samples) // sound.rate_hz
    if whole < length_ms:
        reason = f"{whole / 1000:g} s long; background noise is cut into windows of {length_ms / 1000:g} s"
        skipped.append(Skipped(path, reason))
    return [str(Piece(Path(path), start, length_ms)) for start in range(0, whole - length_ms + 1, length_ms)]
