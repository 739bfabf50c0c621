"""Detectors on the features of a classification network, as far as the families build them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from edgetl.backbones.feature_maps import FeatureMaps, build_feature_maps, construct_feature_maps
from edgetl.errors import UsageError
from edgetl.recipes.recipe import Backbone
from edgetl.tasks.detection.networks.base import Detector
from edgetl.tasks.detection.spec import DetectorSpec, Family
from edgetl.types import NetworkSpec, ResizePolicy, WeightSource
from edgetl.types.findings import Audit

D = TypeVar("D", bound=Detector)

_INPUT_SIZE = 320


def build_on_backbone(
    family: Family,
    put_on: Callable[[FeatureMaps, DetectorSpec], D],
    strides: Sequence[int],
    arguments: Mapping[str, object],
    backbone: Backbone,
    source: WeightSource,
    num_classes: int,
    resize: ResizePolicy,
) -> tuple[D, DetectorSpec, Audit]:
    """See `networks.build.build`. Everything but the backbone is new.

    put_on     the family's layers on features of these strides
    arguments  of the family
    """
    backbone = backbone if backbone.input_size else backbone.model_copy(update={"input_size": _INPUT_SIZE})
    maps, network, audit = build_feature_maps(backbone, source, resize, tuple(strides))
    assert network.library != "transformers"
    assert network.library != "module"
    spec = DetectorSpec(
        family=family,
        library=network.library,
        architecture=network.architecture,
        model_args=network.model_args,
        arguments=arguments,
        num_classes=num_classes,
        preprocessing=network.image,
        licence=network.licence,
    )
    detector = put_on(maps, spec)
    loaded = f"{detector.parts[0]}.backbone."
    new = tuple(sorted(name for name in detector.state_dict() if not name.startswith(loaded)))
    return detector, spec, replace(audit, new=new)


def features_for(spec: DetectorSpec, strides: Sequence[int]) -> FeatureMaps:
    """The backbone of `spec` with random weights."""
    assert spec.library != "edgetl"
    network = NetworkSpec(spec.library, spec.architecture, spec.model_args, 2, "", spec.preprocessing)
    return construct_feature_maps(network, tuple(strides))


def check_multiple(spec: DetectorSpec, of: int, what: str) -> tuple[int, int]:
    """Height and width of the input. Raises UsageError if they are not multiples of `of`."""
    height, width = spec.preprocessing.height, spec.preprocessing.width
    if height % of or width % of:
        near = max(1, round(height / of)) * of, max(1, round(width / of)) * of
        raise UsageError(
            f"backbone.input_size: expected multiples of {of} pixels for {what}; found {height}x{width}; "
            f"use {near[0]}x{near[1]}"
        )
    return height, width
