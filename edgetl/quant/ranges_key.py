"""What observed ranges depend on, part by part, and which part changed, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from edgetl.types import CalibrationProfile, Preprocessing, Sample, Scheme, described

_VERSION = 1  # of what observing does
_TOOLS = ("torch", "torchao", "timm", "torchvision", "pillow", "numpy")
# what ranges of another run must share with this one; images, their views and tools may differ
_BINDING = ("version", "network", "weights", "preprocessing", "scheme", "profile")

Parts = Mapping[str, Any]


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
