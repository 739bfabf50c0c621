"""The cost of each layer, and the resulting order. blame-<target>.json has exactly this content."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgetl.fronts.base import load_front
from edgetl.tasks.base import TaskName
from edgetl.types import FrontName, Interval

SCHEMA = 1
_JSON_NAMES: dict[TaskName, dict[str, str]] = {
    "classification": {"error": "logits_error", "float_score": "float_top1", "int8_score": "int8_top1"}
}


@dataclass(frozen=True)
class LayerAccuracy:
    """The task's metric on all validation images, differences in points, paired on the same images.

    regained_points  INT8 with this layer in float, minus INT8
    lost_points      the float network, minus the same with this layer alone in INT8
    """

    regained_points: Interval
    lost_points: Interval


@dataclass(frozen=True)
class LayerLatency:
    """The latency cost of the layer in float on the target's runtime, timed in alternation with the INT8 build.

    cost_percent  growth of the median; negative: faster
    p50_ms        of the build with this layer in float
    placement     number formats in which its convolutions and matrix products really run
    """

    cost_percent: Interval
    p50_ms: float
    placement: str


@dataclass(frozen=True)
class BlamedLayer:
    """One quantized layer.

    weight_shape  as read by the layer; macs  of one image
    weight_steps  largest distance of the int8 weights from the float network's, in quantization steps
    sqnr_db       of its output in the INT8 network against the float one: all rounding so far; None: no error at all
    own_sqnr_db   of its output when its input is the float network's and only it is quantized
    regained      error of the INT8 network's outputs minus that with this layer in float; a share of their spread
    lost          error that this layer alone in INT8 causes in the float network; the same unit
    accuracy, latency  measured for the first layers only
    """

    name: str
    kind: Literal["convolution", "linear"]
    weight_shape: tuple[int, ...]
    macs: int | None
    weight_steps: float
    sqnr_db: float | None
    own_sqnr_db: float | None
    regained: float
    lost: float
    accuracy: LayerAccuracy | None = None
    latency: LayerLatency | None = None


@dataclass(frozen=True)
class Blame:
    """The layers of one target's INT8 network, the costliest first.

    weights       the weights of a layer in float: the float network's, or its own INT8 weights, dequantized, because
                  training moved them
    shots         images of the per-layer figures, all of them calibration images; val  images of the accuracies
    metric        of the task: top-1, AP
    error         of the INT8 network's outputs: RMS of the images' distances from the float network's, a share of
                  their spread (of logits their range)
    drop_points   the metric of the float network minus INT8's, in points, paired
    p50_ms        of the INT8 build; unmeasured  why there are no latencies; empty if there are or none were requested
    """

    recipe: str
    task: TaskName
    metric: str
    target: str
    model: str
    weights: Literal["float network", "own"]
    shots: int
    val: int
    error: float
    float_score: Interval
    int8_score: Interval
    drop_points: Interval
    p50_ms: float | None
    unmeasured: str
    layers: tuple[BlamedLayer, ...]
    verdict: str = ""
    front: FrontName = "image"

    @property
    def noun(self) -> str:
        """One example, in sentences."""
        return load_front(self.front).noun

    def to_json(self) -> dict[str, Any]:
        """With the task's own names: of classification `logits_error`, `float_top1` and `int8_top1`."""
        names = _JSON_NAMES.get(self.task, {})
        return {"schema": SCHEMA, **{names.get(key, key): value for key, value in asdict(self).items()}}


def ranked(layers: Iterable[BlamedLayer]) -> tuple[BlamedLayer, ...]:
    """By removed error, largest first; in a tie the lower own SQNR, then the graph's order."""
    return tuple(sorted(layers, key=lambda layer: (-layer.regained, _worse_first(layer.own_sqnr_db))))


def _worse_first(decibels: float | None) -> float:
    return math.inf if decibels is None else decibels
