"""Chooses the layers that need 7-bit weights on a CPU without VNNI, and measures the result.

Seven bits also cost accuracy: in some layers rounding the weights again changes predictions more than saturation does.
So a layer is chosen only if the result comes closer to the network without saturation.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from edgetl.diagnose.forecast.forecast import (
    Advance,
    Cost,
    Images,
    LayerForecast,
    Logits,
    cost_of,
    exact,
    logits,
    logits_error,
    saturated,
)
from edgetl.diagnose.forecast.layers import Answer, Layer
from edgetl.diagnose.forecast.network import Compute, Network
from edgetl.diagnose.forecast.reduce import reduce_range

# In standard deviations of the logits. Two CPUs whose kernels round a few ties differently already differ by 1.3 to
# 3.3 % of the logits' range (docs/decisions/0004-golden-tolerances.md), which is more.
TOLERANCE = 0.05
_LEAST_ERROR_STEPS = 0.05  # a layer that saturation changes by less is left unchanged
_LEAST_GAIN = 0.05  # share of the error that a layer has to remove


@dataclass(frozen=True)
class Remedy:
    """Reduced range in some layers.

    layers  names, the most useful first; empty if saturation does not matter or nothing helps
    cost    of the reduced network on a CPU without VNNI, compared with the original network on one with VNNI
    enough  whether the remaining error is below `TOLERANCE` and every image keeps its most likely class
    """

    layers: tuple[str, ...]
    cost: Cost
    enough: bool


def matters(cost: Cost) -> bool:
    """Whether a change of the predictions is larger than the difference between two runtimes."""
    return cost.logits_error > TOLERANCE or cost.agreement.value < 1


def needed_layers(
    network: Network, layers: Sequence[LayerForecast], images: Images, advance: Advance = lambda: None
) -> tuple[str, ...]:
    """The smallest set of layers found whose reduction undoes the effect of saturation; greedy, costliest layer first.

    layers   the result of `forecast` on calibration images
    images   batches (n, H, W, 3) uint8, used once for every layer tried: a few are enough, and none that accuracy is
             measured on afterwards
    advance  called after each layer that was tried
    """
    held = list(images)
    right = logits(network, held, exact)
    chosen: list[str] = []
    error = logits_error(right, logits(network, held, saturated))
    for layer in _candidates(layers):
        if error <= TOLERANCE:
            break
        trial = logits_error(right, logits(network, held, _with_reduced(network, [*chosen, layer.name])))
        if trial <= (1 - _LEAST_GAIN) * error:
            chosen.append(layer.name)
            error = trial
        advance()
    return tuple(chosen)


def candidates(layers: Sequence[LayerForecast]) -> int:
    """How many layers `needed_layers` may try."""
    return len(_candidates(layers))


def verify_remedy(
    model: onnx.ModelProto,
    layers: Collection[str],
    images: Images,
    right: Logits,
    labels: Sequence[int] | None = None,
) -> Remedy:
    """Actually reduce the layers of `model`, run the result with saturation, and compare with `right`, the logits of
    the unreduced network without saturation on the same images."""
    cost = cost_of(right, logits(Network(reduce_range(model, layers)), images, saturated), labels)
    return Remedy(tuple(layers), cost, not matters(cost))


def _candidates(layers: Sequence[LayerForecast]) -> list[LayerForecast]:
    harmed = [layer for layer in layers if layer.error_steps >= _LEAST_ERROR_STEPS]
    return sorted(harmed, key=lambda layer: -layer.error_steps)


def _with_reduced(network: Network, names: Collection[str]) -> Compute:
    """Saturation everywhere except in the named layers, which have half the weights at twice the scale."""
    reduced = {layer.name: layer.reduced() for layer in network.layers if layer.name in names}

    def compute(layer: Layer, data: NDArray[np.uint8]) -> Answer:
        other = reduced.get(layer.name)
        return saturated(layer, data) if other is None else exact(other, data)

    return compute
