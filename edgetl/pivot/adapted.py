"""The adapted network as it is deployed, of any task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from edgetl.backbones.load import rebuild
from edgetl.backbones.spec import read_spec
from edgetl.pivot.parts import WHOLE
from edgetl.tasks.base import Task
from edgetl.tasks.detection.detections import Postprocess
from edgetl.types import Preprocessing

NETWORK_STATE, NETWORK_SPEC = "network.safetensors", "network.json"
"""An adapted network: of the adapt stage and of the surgery stage."""
_WITHOUT_HELD_OUT = 0.5


@dataclass(frozen=True)
class Adapted:
    """module    normalized images float32 (N, 3, H, W) -> the task's outputs, one tensor or a tuple, in eval mode
    parts     names of the modules that are quantized
    identity  what the network is besides its weights, as JSON values
    source, licence  of the pretrained weights, as they state it
    settings  with which it reports objects; None for a classifier
    """

    module: nn.Module
    parts: tuple[str, ...]
    identity: Mapping[str, Any]
    preprocessing: Preprocessing
    source: str
    licence: str
    settings: Postprocess | None = None


def open_adapted(task: Task, folder: Path) -> Adapted:
    """The network that the adapt stage (or the surgery stage) left in `folder`. Raises WeightsError."""
    if task.name == "detection":
        return _detector(folder)
    spec = read_spec(folder / NETWORK_SPEC)
    module = rebuild(spec, folder / NETWORK_STATE)
    identity = {"architecture": spec.architecture, **spec.model_args}
    return Adapted(module, WHOLE, identity, spec.preprocessing, spec.source, spec.licence)


def _detector(folder: Path) -> Adapted:
    from edgetl.tasks.detection.networks.build import rebuild as rebuild_detector
    from edgetl.tasks.detection.spec import read_detector_spec

    spec = read_detector_spec(folder / NETWORK_SPEC)
    detector = rebuild_detector(spec, folder / NETWORK_STATE)
    identity = {"architecture": spec.architecture, "family": spec.family, **spec.model_args, **spec.arguments}
    settings = Postprocess(score_threshold=_WITHOUT_HELD_OUT if spec.score_threshold is None else spec.score_threshold)
    return Adapted(detector, detector.parts, identity, spec.preprocessing, spec.source, spec.licence, settings)


def outputs_of(found: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What a deployed module gives, as a tuple."""
    return (found,) if isinstance(found, Tensor) else tuple(found)
