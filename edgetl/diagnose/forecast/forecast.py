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
from edgetl.stats import paired_difference, wilson
from edgetl.types import Interval

Images = Iterable[NDArray[np.uint8]]
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

    agreement     share of images with the same most likely class before and after
    logits_error  root mean square of the change of the logits / standard deviation of the logits before
    top1          accuracy before; None without labels
    cost_points   accuracy before minus accuracy after, in points, on the same images; None without labels
    """

    images: int
    agreement: Interval
    logits_error: float
    top1: Interval | None
    cost_points: Interval | None


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
    network: Network, images: Images, labels: Sequence[int] | None = None, advance: Advance = lambda: None
) -> Forecast:
    """Compute the network with and without saturation, image by image.

    network  of a Q/DQ model with the preprocessing inside, as the backend compiles it
    images   batches (n, H, W, 3) uint8, at least one image in all
    labels   the class index of every image, in order
    advance  called after each image
    raises   ValueError without images, or if the numbers of labels and images differ.
    """
    counts = {layer.name: _Count() for layer in network.layers}
    right: list[Logits] = []
    wrong: list[Logits] = []
    for image in _single(images):
        right.append(network.run(image, lambda layer, data: _observed(layer, data, counts[layer.name])))
        wrong.append(network.run(image, saturated))
        advance()
    if not right:
        raise ValueError("expected at least one image to forecast saturation on; found none")
    layers = tuple(_layer_forecast(layer, counts[layer.name]) for layer in network.layers)
    return Forecast(layers, cost_of(np.stack(right), np.stack(wrong), labels), network.unknown)


def cost_of(before: Logits, after: Logits, labels: Sequence[int] | None = None) -> Cost:
    """Compare logits (N, classes) of one network before and after a change. Raises ValueError for other sizes."""
    if before.shape != after.shape or (labels is not None and len(labels) != len(before)):
        raise ValueError(
            f"expected logits of one shape and a label for each image; found {before.shape}, {after.shape}"
            + ("" if labels is None else f" and {len(labels)} labels")
        )
    first, second = before.argmax(axis=1), after.argmax(axis=1)
    top1 = points = None
    if labels is not None:
        truth = np.asarray(labels)
        top1 = wilson(int(np.sum(first == truth)), len(truth))
        points = paired_difference(first == truth, second == truth)
    agreement = wilson(int(np.sum(first == second)), len(first))
    return Cost(len(before), agreement, logits_error(before, after), top1, points)


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


def logits(network: Network, images: Images, compute: Compute) -> Logits:
    """(N, classes) float32 with `compute` instead of every layer that can saturate."""
    return np.stack([network.run(image, compute) for image in _single(images)])


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


def _single(batches: Images) -> Iterator[NDArray[np.uint8]]:
    for batch in batches:
        yield from batch
