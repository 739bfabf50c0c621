"""Empirical bias correction: rounding shifts the mean of a layer's output, and its bias can take that back.

Nagel et al. 2019, arXiv:1906.04721, section 4.2 and appendix D: per channel, the mean output of the float network minus
that of the rounded one is added to the bias, layer after layer, so that each sees what the corrected ones before it
give.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node

from edgetl.quant.fakequant import ActivationQuantizer, WeightQuantizer
from edgetl.quant.quantizer import BiasedLayer, biased_layers

IMAGES = 32  # that correction looks at; their values of one layer are in memory together


@dataclass(frozen=True)
class Correction:
    """What was done to one layer. Root mean squares over its channels, in the units of its output.

    before, after  difference of the channels' mean outputs from the float network's
    """

    layer: str
    before: float
    after: float


class _Mean:
    """Mean per channel over batches of any size, float64."""

    def __init__(self) -> None:
        self._sum: Tensor | float = 0.0
        self._count = 0

    def add(self, output: Tensor, axis: int) -> None:
        channels = output.detach().movedim(axis, 0).flatten(1).double()
        self._sum = self._sum + channels.sum(1)
        self._count += channels.shape[1]

    @property
    def value(self) -> Tensor:
        return torch.as_tensor(self._sum) / self._count


class _Float(Interpreter):
    """Runs a prepared graph as the float network it was made from, and shows layer outputs to `see`."""

    def __init__(self, prepared: GraphModule, see: Callable[[Node, Tensor], None]) -> None:
        super().__init__(prepared)
        self._see = see

    def run_node(self, n: Node) -> Any:
        output = super().run_node(n)
        self._see(n, output)
        return output

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        rounds = isinstance(self.fetch_attr(target), ActivationQuantizer | WeightQuantizer)
        return args[0] if rounds else super().call_module(target, args, kwargs)


@torch.no_grad()
def correct_biases(prepared: GraphModule, batches: Sequence[Tensor]) -> list[Correction]:
    """Correct the biases of all quantized layers of a calibrated network in place, in the order of the graph.

    batches  normalised float32 (n, 3, H, W) on the network's device; the outputs of one layer for all of them are held
             at a time, so give few images (`IMAGES`): means over images and positions settle fast
    Layers without a bias stay as they are. The ranges are not observed again.
    """
    layers = _correctable(prepared)
    expected = _float_means(prepared, batches, layers)
    runs = [Interpreter(prepared) for _ in batches]
    for run, batch in zip(runs, batches, strict=True):
        run.args_iter = iter([batch])
    done = []
    for node in prepared.graph.nodes:
        if node.op == "output":
            break
        for run in runs:
            run.env[node] = run.run_node(node)
        if node in layers:
            done.append(_correct(layers[node], expected[node], [run.env[node] for run in runs]))
        for run in runs:
            for finished in run.user_to_last_uses.get(node, ()):
                del run.env[finished]
    return done


def _correctable(prepared: GraphModule) -> dict[Node, BiasedLayer]:
    layers = list(biased_layers(prepared))
    uses = Counter(id(layer.bias) for layer in layers)
    # a bias that two layers share has no value that is right for both
    return {layer.node: layer for layer in layers if uses[id(layer.bias)] == 1}


def _float_means(
    prepared: GraphModule, batches: Sequence[Tensor], layers: dict[Node, BiasedLayer]
) -> dict[Node, Tensor]:
    means = {node: _Mean() for node in layers}

    def see(node: Node, output: Any) -> None:
        if node in layers:
            means[node].add(output, layers[node].channel_axis)

    for batch in batches:
        _Float(prepared, see).run(batch)
    return {node: mean.value for node, mean in means.items()}


def _correct(layer: BiasedLayer, expected: Tensor, outputs: Sequence[Tensor]) -> Correction:
    error = expected - _mean(layer, outputs)
    shift = error.to(layer.bias.dtype)
    layer.bias.add_(shift)
    # the layer is linear in its bias: what it gave moves by the same, no second run is needed
    axis = layer.channel_axis % outputs[0].ndim
    for output in outputs:
        output += shift.reshape([-1 if dimension == axis else 1 for dimension in range(output.ndim)])
    return Correction(layer.node.name, _rms(error), _rms(expected - _mean(layer, outputs)))


def _mean(layer: BiasedLayer, outputs: Sequence[Tensor]) -> Tensor:
    mean = _Mean()
    for output in outputs:
        mean.add(output, layer.channel_axis)
    return mean.value


def _rms(error: Tensor) -> float:
    return float(error.square().mean().sqrt())
