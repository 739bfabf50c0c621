"""Empirical bias correction: rounding shifts the mean of a layer's output, and its bias can compensate that.

Nagel et al. 2019, arXiv:1906.04721, section 4.2 and appendix D: per channel, the mean output of the float network minus
that of the rounded one is added to the bias, layer after layer, so that each reads the outputs of the corrected ones
before it. Unlike in the paper, only positions count whose value the float network's ReLU passes: values far below zero
have larger errors and do not matter (docs/decisions/0014-calibration-defaults.md). In networks with SiLU only the
rounding of weights is compensated: inputs are often clipped, in few places, and a bias would move all others for them
(docs/decisions/0024-wide-channels.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Interpreter, Node
from torch.utils._pytree import tree_leaves

from edgetl.pivot.parts import Inputs, inputs_of
from edgetl.quant.fakequant import ActivationQuantizer, WeightQuantizer
from edgetl.quant.quantizer import BiasedLayer, biased_layers, has_silu
from edgetl.quant.record import Correction

IMAGES = 32  # for the correction; their values of one layer are in memory together, float and rounded
_FEWEST = 8  # positions needed for a channel's mean; with fewer its bias is unchanged


class _Float(Interpreter):
    """Runs a prepared graph as the float network it was made from."""

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        rounds = isinstance(self.fetch_attr(target), ActivationQuantizer | WeightQuantizer)
        return args[0] if rounds else super().call_module(target, args, kwargs)


class _Pair:
    """One batch on its way through the float and the rounded network, node by node."""

    def __init__(self, prepared: GraphModule, inputs: Inputs) -> None:
        self._runs = self._exact, self._rounded = _Float(prepared), Interpreter(prepared)
        for run in self._runs:
            run.args_iter = iter(tree_leaves(inputs))

    def step(self, node: Node) -> None:
        for run in self._runs:
            run.env[node] = run.run_node(node)

    def forget_inputs(self, node: Node) -> None:
        for run in self._runs:
            for finished in run.user_to_last_uses.get(node, ()):
                del run.env[finished]

    def exact(self, node: Node) -> Tensor:
        found: Tensor = self._exact.env[node]
        return found

    def rounded(self, node: Node) -> Tensor:
        found: Tensor = self._rounded.env[node]
        return found

    def with_rounded_weights(self, layer: BiasedLayer) -> Tensor:
        """What a layer of the rounded network gives for the inputs of the float one."""
        given = [self._exact.env[each] if isinstance(each, Node) else each for each in layer.node.args]
        target: Any = layer.node.target
        found: Tensor = target(given[0], layer.weight(given[1]), layer.bias, *given[3:])
        return found


@torch.no_grad()
def correct_biases(prepared: nn.Module, batches: Sequence[Tensor]) -> list[Correction]:
    """Correct the biases of all quantized layers of a calibrated network in place, in the order of its graphs.

    batches  normalized float32 (n, 3, H, W) on the network's device; the outputs of one layer for all of them are held
             at a time, so give few images (`IMAGES`): means over images and positions settle fast
    Layers without a bias stay unchanged. The ranges are not observed again.
    """
    if isinstance(prepared, GraphModule):
        return _correct_graph(prepared, [(batch,) for batch in batches])
    done = []
    for name in [name for name, part in prepared.named_modules() if isinstance(part, GraphModule)]:
        given = [inputs_of(prepared, (name,), batch)[name] for batch in batches]  # with the parts before it corrected
        done += _correct_graph(prepared.get_submodule(name), given)
    return done


def _correct_graph(prepared: Any, given: Sequence[Inputs]) -> list[Correction]:
    layers, weights_only = _correctable(prepared), has_silu(prepared)
    pairs = [_Pair(prepared, inputs) for inputs in given]
    done = []
    for node in prepared.graph.nodes:
        if node.op == "output":
            break
        for pair in pairs:
            pair.step(node)  # the float network's value, too, is made before this layer's bias moves
        if node in layers:
            done.append(_correct(layers[node], pairs, weights_only=weights_only))
        for pair in pairs:
            pair.forget_inputs(node)
    return done


def _correctable(prepared: GraphModule) -> dict[Node, BiasedLayer]:
    layers = list(biased_layers(prepared))
    uses = Counter(id(layer.bias) for layer in layers)
    # a bias that two layers share has no value that is right for both
    return {layer.node: layer for layer in layers if uses[id(layer.bias)] == 1}


def _correct(layer: BiasedLayer, pairs: Sequence[_Pair], *, weights_only: bool) -> Correction:
    error = _mean_error(layer, pairs, weights_only=weights_only)
    shift = error.to(layer.bias.dtype)
    layer.bias.add_(shift)
    # the layer is linear in its bias: what it gave moves by the same, no second run is needed
    for pair in pairs:
        output = pair.rounded(layer.node)
        axis = layer.channel_axis % output.ndim
        output += shift.reshape([-1 if dimension == axis else 1 for dimension in range(output.ndim)])
    return Correction(layer.node.name, _rms(error), _rms(_mean_error(layer, pairs, weights_only=weights_only)))


def _mean_error(layer: BiasedLayer, pairs: Sequence[_Pair], *, weights_only: bool) -> Tensor:
    """Mean of float minus rounded output over the positions that pass, (channels,) float64; 0 with too few of them."""
    low, high = layer.passes
    total: Tensor | float = 0.0
    count: Tensor | float = 0.0
    for pair in pairs:
        exact = pair.exact(layer.node)
        rounded = pair.with_rounded_weights(layer) if weights_only else pair.rounded(layer.node)
        others = [dimension for dimension in range(exact.ndim) if dimension != layer.channel_axis % exact.ndim]
        passed = (exact > low) & (exact < high)
        total = total + ((exact - rounded) * passed).sum(others, dtype=torch.float64)
        count = count + passed.sum(others)
    counts = torch.as_tensor(count)
    return torch.as_tensor(total) / counts.clamp(min=1) * (counts >= _FEWEST)


def _rms(error: Tensor) -> float:
    return float(error.square().mean().sqrt())
