"""The cost of each layer, and the resulting order. blame-<target>.json has exactly this content."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgetl.types import Interval

SCHEMA = 1


@dataclass(frozen=True)
class LayerAccuracy:
    """Top-1 on all validation images, differences in points, paired on the same images.

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
    regained      logits error of the INT8 network minus that with this layer in float; a fraction of the logits' range
    lost          logits error that this layer alone in INT8 causes in the float network; the same unit
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
    logits_error  of the INT8 network: RMS difference from the float network's logits, a fraction of their range
    drop_points   top-1 of the float network minus INT8's, paired
    p50_ms        of the INT8 build; unmeasured  why there are no latencies; empty if there are or none were requested
    """

    recipe: str
    target: str
    model: str
    weights: Literal["float network", "own"]
    shots: int
    val: int
    logits_error: float
    float_top1: Interval
    int8_top1: Interval
    drop_points: Interval
    p50_ms: float | None
    unmeasured: str
    layers: tuple[BlamedLayer, ...]
    verdict: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}


def ranked(layers: Iterable[BlamedLayer]) -> tuple[BlamedLayer, ...]:
    """By removed logits error, largest first; in a tie the lower own SQNR, then the graph's order."""
    return tuple(sorted(layers, key=lambda layer: (-layer.regained, _worse_first(layer.own_sqnr_db))))


def _worse_first(decibels: float | None) -> float:
    return math.inf if decibels is None else decibels
