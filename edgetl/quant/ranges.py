"""Observed ranges between runs: cached, resumed after a kill, or given by the user; with what they depend on, part by
part, and which part changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from edgetl.errors import DataError, UsageError
from edgetl.files.digest import value_digest
from edgetl.files.durable import damaged, read_sealed, write_sealed
from edgetl.quant.observed import Observed, Parts, read_observed, write_observed
from edgetl.types import CalibrationProfile, Preprocessing, Progress, Sample, Scheme, described

_VERSION = 1  # of what observing does
_TOOLS = ("torch", "torchao", "timm", "torchvision", "pillow", "numpy")
# what ranges of another run must share with this one; images, their views and tools may differ
_BINDING = ("version", "network", "weights", "preprocessing", "scheme", "profile")


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


def key_parts(
    *,
    network: Mapping[str, Any],
    weights: str,
    samples: Sequence[Sample],
    p: Preprocessing,
    profile: CalibrationProfile,
    policy: str,
    scheme: Scheme,
) -> dict[str, Any]:
    """All that the observers' states depend on, as JSON values; its digest names the file.

    network  what it is besides its weights
    weights  sha256 over the folded network's tensors
    samples  the calibration images in order
    policy   of augmentation; counts only if the profile has augmented views

    How a range becomes a scale is decided afterwards, so of the scheme only what is annotated counts. Nor does the
    device count: a CPU and a GPU see values that differ by float rounding, and either's are as good. The stages that
    train are not done again for another device either.
    """
    return {
        "version": _VERSION,
        "network": _jsonable(network),
        "weights": weights,
        "images": [sample.sha256 for sample in samples],
        "preprocessing": _jsonable(described(p)),
        "profile": _profile_parts(profile),
        "augmentation": policy if profile.views else "none",
        "scheme": {"operators": sorted(scheme.operators)},
        "tools": {name: _version(name) for name in _TOOLS},
    }


def binding(parts: Parts) -> dict[str, Any]:
    """The parts in which shipped ranges must agree with the network they are used for."""
    return {name: parts.get(name) for name in _BINDING}


def describe_changes(before: Parts, now: Parts) -> list[str]:
    """The differences, one phrase per part: `weights changed`, `profile changed from entropy to mse`."""
    return [_phrase(name, before.get(name), value) for name, value in now.items() if before.get(name) != value]


def _phrase(name: str, before: Any, now: Any) -> str:
    if name == "images" and isinstance(before, list):
        return _images_phrase(before, now)
    if name == "profile" and isinstance(before, dict) and before.get("observer") != now["observer"]:
        return f"profile changed from {before.get('observer')} to {now['observer']}"
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        differences = ", ".join(f"{key} {_short(before.get(key))} -> {_short(now.get(key))}" for key in keys)
        return differences if name == "tools" else f"{name} changed ({differences})"
    if name == "weights" or not isinstance(before, str | int):
        return f"{name} changed"
    return f"{name} changed from {before} to {now}"


def _images_phrase(before: Sequence[str], now: Sequence[str]) -> str:
    new = sum((Counter(now) - Counter(before)).values())
    if not new and len(before) == len(now):
        return "images changed their order"
    counts = f"{new} of {len(now)}" if len(before) == len(now) else f"{new} new of {len(now)}, before {len(before)}"
    return f"images changed ({counts})"


def _profile_parts(profile: CalibrationProfile) -> dict[str, Any]:
    parts = {name: getattr(profile, name) for name in ("observer", "images", "views", "seed")}
    return parts | ({"percentile": profile.percentile} if profile.observer == "percentile" else {})


def _jsonable(value: Any) -> Any:
    """As JSON would give it back: tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): _jsonable(each) for key, each in value.items()}
    return [_jsonable(each) for each in value] if isinstance(value, list | tuple) else value


def _short(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"
