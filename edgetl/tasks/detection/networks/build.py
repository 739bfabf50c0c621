"""Builds detectors of every family and rebuilds saved ones.

A family is a module of this folder and a row of `_FAMILIES`. The module has

    build(backbone, settings, source, num_classes, resize) -> (Detector, DetectorSpec, Audit)
        from audited pretrained weights, in eval mode; the input size is `backbone.input_size` or the family's own
    construct(spec) -> Detector
        the same with random weights; `construct(spec).state_dict()` has the names and shapes of the built one
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from edgetl.backbones.checkpoint import fill_strictly
from edgetl.errors import UsageError
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.recipe import Detector as Settings
from edgetl.tasks.detection.networks.base import Detector
from edgetl.tasks.detection.spec import DetectorSpec, Family
from edgetl.types import ResizePolicy, WeightSource
from edgetl.types.findings import Audit

_FAMILIES: Mapping[Family, str] = {
    "anchor-free": "edgetl.tasks.detection.networks.anchor_free",
    "yolox": "edgetl.tasks.detection.networks.yolox_build",
    "ssd": "edgetl.tasks.detection.networks.ssd_build",
    "faster-rcnn": "edgetl.tasks.detection.networks.faster_rcnn_build",
}
_WHOLE: Mapping[str, Family] = {
    "yolox_": "yolox",
    "ssd_": "ssd",
    "tv_ssd": "ssd",
    "tv_fasterrcnn_": "faster-rcnn",
}
"""How names of networks begin that are detectors already."""


def build(
    backbone: Backbone, detector: Settings, source: WeightSource, num_classes: int, resize: ResizePolicy
) -> tuple[Detector, DetectorSpec, Audit]:
    """A detector in eval mode on the CPU, float32, with new layers that predict `num_classes`.

    source  what `weights.locate` found for `backbone`
    `Audit.new` has names of the detector's tensors.
    Raises UsageError (unknown name, unsuitable input size or family) and WeightsError (missing, unsafe or foreign
    weights).
    """
    network, spec, audit = _module(family_of(backbone, detector)).build(backbone, detector, source, num_classes, resize)
    return network, spec, _named_in_full(audit, network)


def construct(spec: DetectorSpec) -> Detector:
    """The detector of `spec` with random weights, in eval mode."""
    return _module(spec.family).construct(spec)  # type: ignore[no-any-return]


def rebuild(spec: DetectorSpec, state: Path) -> Detector:
    """The detector exactly as it was saved: built from `spec`, filled strictly from a safetensors file. In eval mode.

    Needs no network access. Raises WeightsError naming the file if tensors and description do not belong together.
    """
    detector = construct(spec)
    fill_strictly(detector, state, f"{spec.family} detector")
    return detector


def family_of(backbone: Backbone, detector: Settings) -> Family:
    """The family that the recipe asks for, `auto` resolved. Raises UsageError if the backbone is a detector of another
    family."""
    whole = next((family for start, family in _WHOLE.items() if backbone.name.startswith(start)), None)
    if detector.family == "auto":
        return whole or "anchor-free"
    if whole not in (None, detector.family):
        raise UsageError(
            f"detector.family: `{backbone.name}` is a detector of the family {whole}; expected `auto` or `{whole}`, "
            f"found `{detector.family}`; or name a classification network in backbone.name"
        )
    return detector.family


def _module(family: Family) -> Any:
    if family not in _FAMILIES:
        raise UsageError(f"detector.family: `{family}` is not available; expected one of {', '.join(_FAMILIES)}")
    return import_module(_FAMILIES[family])


def _named_in_full(audit: Audit, detector: Detector) -> Audit:
    """New tensors by their names in the detector: weights of a whole network were loaded into its first part."""
    own, first = detector.state_dict(), detector.parts[0]
    return replace(audit, new=tuple(sorted(name if name in own else f"{first}.{name}" for name in audit.new)))
