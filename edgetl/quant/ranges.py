"""Observed ranges between runs: cached, resumed after a kill, or given by the user."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetl.errors import DataError, UsageError
from edgetl.files.digest import value_digest
from edgetl.files.durable import read_sealed, write_sealed
from edgetl.quant.observed import Observed, Parts, read_observed, write_observed
from edgetl.quant.ranges_key import binding, describe_changes
from edgetl.store.cache import damaged
from edgetl.types import Progress


@dataclass(frozen=True)
class RangesCache:
    """The files of one scheme: `<key>.safetensors` holds observations named by everything they depend on;
    `last-<scheme>.kept` holds the parts of the last key, so that the next run can report what changed."""

    folder: Path
    scheme: str

    def find(self, parts: Parts, places: Sequence[str], progress: Progress) -> Observed | None:
        """The observations for this key, perhaps incomplete; None to start over. Reports why."""
        path = self.path(parts)
        if not path.is_file():
            self._tell_what_moved(parts, progress)
            return None
        try:
            found = read_observed(path)
        except DataError:
            progress.note(damaged(path))
            return None
        differences = describe_changes(found.parts, parts)
        if differences or found.places != tuple(places):
            progress.note(f"calibration again: {path.name} belongs to another network")
            return None
        if not found.complete:
            progress.note(f"calibration continues after batch {found.batches} of {found.total}")
        return found

    def keep(self, observed: Observed) -> None:
        """Write the state so far; once it is complete, also what it depends on."""
        write_observed(self.path(observed.parts), observed)
        if observed.complete:
            self.remember(observed.parts)

    def remember(self, parts: Parts) -> None:
        write_sealed(self._last, json.dumps(parts, sort_keys=True).encode())

    def path(self, parts: Parts) -> Path:
        return self.folder / f"{value_digest(parts)[:32]}.safetensors"

    @property
    def _last(self) -> Path:
        return self.folder / f"last-{self.scheme}.kept"

    def _tell_what_moved(self, parts: Parts, progress: Progress) -> None:
        try:
            before = json.loads(read_sealed(self._last))
            differences = describe_changes(before, parts)
        except (OSError, ValueError, AttributeError):
            return
        if differences:
            progress.note(f"calibration again: {', '.join(differences)}")


def given_ranges(path: Path, parts: Parts, places: Sequence[str], scheme: str) -> Observed:
    """Observations of an earlier run, to be used unchanged.

    scheme  its name, for the message
    The images, their augmentation, tool versions and the device may differ from the current ones.
    raises  UsageError naming the difference if they belong to another network, preprocessing, scheme or profile, or
            are incomplete; DataError if the file is damaged.
    """
    found = read_observed(path)
    differences = describe_changes(binding(found.parts), binding(parts))
    if not differences and found.places != tuple(places):
        differences = ["the observed places changed"]
    if differences:
        raise UsageError(
            f"{path}: not the ranges of this network for {scheme}: {', '.join(differences)}; "
            "give the ranges made for it, or omit them to calibrate"
        )
    if not found.complete:
        raise UsageError(f"{path}: has {found.batches} of {found.total} batches; finish that calibration first")
    return found
