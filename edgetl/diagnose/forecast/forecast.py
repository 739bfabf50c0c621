"""Simulates a Q/DQ model on a CPU without VNNI: the effect per layer and on the network's predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.diagnose.forecast.layers import Answer, Layer
from edgetl.diagnose.forecast.network import Compute, Network
from edgetl.diagnose.forecast.pairs import HIGHEST
from edgetl.pivot.macs import Kind
from edgetl.tasks.base import Outputs, Task
from edgetl.types import OUTPUT_NAME, Interval, Truth
from edgetl.types.frames import Frame
from edgetl.types.stats import wilson

Images = Iterable[NDArray[np.generic]]
Logits = NDArray[np.float32]
Advance = Callable[[], object]


@dataclass(frozen=True)
class LayerForecast:
    """One convolution or linear layer on uint8 activations and int8 weights.

    possible     share of its pairs of weights that some activations can drive out of int16
    saturated    share of its pair sums that left int16 on the images
    peak         the largest |pair sum| / 32767: above 1 as observed on the images; up to 1 an upper bound, from the
                 largest activation of each channel
    error_steps  root-mean-square change of its output by clipping, for a correct input, in INT8 steps of the output;
                 for a float output in 255ths of the observed range
    """

    name: str
    kind: Kind
    possible: float
    saturated: float
    peak: float
    error_steps: float


@dataclass(frozen=True)
class Cost:
    """The effect of a change of the network on its predictions.

    agreement    share of the predictions with the same class before and after: of images, of a detector's objects
    error        how far the outputs moved: for logits the root mean square of the change / their standard deviation
                 before, else the root mean square of `Task.distance`
    score        the task's metric before; None without labels
    cost_points  the metric before minus after, in points, on the same images; None without labels
    predictions  how many were compared
    """

    images: int
    agreement: Interval
    error: float
    score: Interval | None
    cost_points: Interval | None
    predictions: int


@dataclass(frozen=True)
class Labeled:
    """What is known about the images, in order.

    frames   as `Task.answer` takes them;  classes  how many the task has
    """

    truths: Sequence[Truth]
    frames: Sequence[Frame]
    classes: int


@dataclass(frozen=True)
class Forecast:
    """The effect of saturation on a network for some images.

    layers   in the order of the graph, without depthwise convolutions and layers left in float
    cost     of saturation, on the network's predictions
    unknown  layers that are not modeled, treated as exact
    """

    layers: tuple[LayerForecast, ...]
    cost: Cost
    unknown: tuple[str, ...]

    @property
    def saturating(self) -> tuple[LayerForecast, ...]:
        return tuple(layer for layer in self.layers if layer.saturated > 0)


def forecast(
    network: Network, task: Task, images: Images, labeled: Labeled | None = None, advance: Advance = lambda: None
) -> Forecast:
    """Compute the network with and without saturation, image by image.

    network  of a Q/DQ model with the preprocessing inside, as the backend compiles it
    images   batches (n, H, W, 3) uint8, at least one image in all
    labeled  what is known about every image
    advance  called after each image
    raises   ValueError without images, or if the numbers of truths and images differ.
    """
    counts = {layer.name: _Count() for layer in network.layers}
    right: list[Outputs] = []
    wrong: list[Outputs] = []
    for image in _single(images):
        right.append(network.run(image, lambda layer, data: _observed(layer, data, counts[layer.name])))
        wrong.append(network.run(image, saturated))
        advance()
    if not right:
        raise ValueError("expected at least one image to forecast saturation on; found none")
    layers = tuple(_layer_forecast(layer, counts[layer.name]) for layer in network.layers)
    return Forecast(layers, cost_of(task, _joined(right), _joined(wrong), labeled), network.unknown)


def cost_of(task: Task, before: Outputs, after: Outputs, labeled: Labeled | None = None) -> Cost:
    """Compare the outputs of one network before and after a change. Raises ValueError for other sizes."""
    shapes = [{name: values.shape for name, values in each.items()} for each in (before, after)]
    images = len(before[task.outputs[0]])
    if shapes[0] != shapes[1] or (labeled is not None and len(labeled.truths) != images):
        raise ValueError(
            f"expected outputs of one shape and a label for each image; found {shapes[0]}, {shapes[1]}"
            + ("" if labeled is None else f" and {len(labeled.truths)} labels")
        )
    score = points = None
    if labeled is not None:
        first, second = (task.answer(each, labeled.frames) for each in (before, after))
        score = task.measure(first, labeled.truths, first, labeled.classes).score.value
        points = task.measure(second, labeled.truths, first, labeled.classes).drop_points
    same, predictions = task.agreeing(after, before)
    agreement = wilson(same, predictions) if predictions else Interval(1.0, 0.0, 1.0)
    return Cost(images, agreement, output_error(task, before, after), score, points, predictions)


def output_error(task: Task, before: Outputs, after: Outputs) -> float:
    """As in `Cost.error`."""
    if task.name == "classification":
        return logits_error(before[OUTPUT_NAME], after[OUTPUT_NAME])
    distances = task.distance(after, before)
    return math.sqrt(float(np.mean(distances * distances)))


def logits_error(before: Logits, after: Logits) -> float:
    """Root mean square of the difference / standard deviation of `before`; (N, classes) both."""
    difference = float(np.sqrt(np.mean(np.square(after.astype(np.float64) - before))))
    spread = float(before.std(dtype=np.float64))
    return difference / spread if spread > 0 else (0.0 if difference == 0 else math.inf)


def exact(layer: Layer, data: NDArray[np.uint8]) -> Answer:
    """A layer's output on a CPU with VNNI."""
    return layer.answer(layer.sums(data).exact, data.shape)


def saturated(layer: Layer, data: NDArray[np.uint8]) -> Answer:
    """A layer's output on a CPU without VNNI."""
    sums = layer.sums(data)
    return layer.answer(sums.exact + sums.change, data.shape)


def outputs(network: Network, images: Images, compute: Compute) -> Outputs:
    """(N, ...) float32 by name, with `compute` instead of every layer that can saturate."""
    return _joined([network.run(image, compute) for image in _single(images)])


@dataclass
class _Count:
    """Sums for one layer over the images."""

    pairs: int = 0
    saturated: int = 0
    peak: int = 0
    squares: float = 0.0
    numbers: int = 0
    range: tuple[float, float] = (math.inf, -math.inf)
    highest: NDArray[np.uint8] | None = None


def _observed(layer: Layer, data: NDArray[np.uint8], count: _Count) -> Answer:
    sums = layer.sums(data)
    answer = layer.answer(sums.exact, data.shape)
    count.pairs += sum(part.pairs for part in layer.parts) * sums.exact.shape[1]
    count.saturated += sums.saturated
    count.peak = max(count.peak, sums.peak)
    count.highest = sums.highest if count.highest is None else np.maximum(count.highest, sums.highest)
    count.numbers += answer.size
    count.range = (min(count.range[0], float(answer.min())), max(count.range[1], float(answer.max())))
    if sums.saturated:
        other = layer.answer(sums.exact + sums.change, data.shape)
        count.squares += float(np.square(other.astype(np.float64) - answer).sum())
    return answer


def _layer_forecast(layer: Layer, count: _Count) -> LayerForecast:
    step = 1.0 if layer.out_scale is not None else max(count.range[1] - count.range[0], 1e-30) / 255
    return LayerForecast(
        name=layer.name,
        kind=layer.kind,
        possible=sum(len(part.column) for part in layer.parts) / sum(part.pairs for part in layer.parts),
        saturated=count.saturated / count.pairs if count.pairs else 0.0,
        peak=count.peak / HIGHEST if count.saturated else min(layer.bound(count.highest) / HIGHEST, 1.0),
        error_steps=math.sqrt(count.squares / count.numbers) / step if count.numbers else 0.0,
    )


def _single(batches: Images) -> Iterator[NDArray[np.generic]]:
    for batch in batches:
        yield from batch


def _joined(each: Sequence[Outputs]) -> Outputs:
    return {name: np.concatenate([outputs[name] for outputs in each]) for name in each[0]}
