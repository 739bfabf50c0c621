"""Merges frozen batch norms into the layers before them for training: the same function, half the work."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from edgetl.backbones.freeze import is_under
from edgetl.pivot.fold import foldable

_ROOM_BYTES = 20_000_000  # of the largest activation: more does not fit a core's cache and is mapped again in each step


@dataclass(frozen=True)
class Merged:
    """`forward` computes the original network's function with its current tensors, with gradients to them.

    at_once  best number of images to run together; more are slower per image
    """

    forward: Callable[[Tensor], Tensor]
    at_once: int


def merged(network: nn.Module, inputs: Tensor) -> Merged:
    """`network`, whose batch norms use their running statistics, for activations like `inputs` (N, ...).

    A batch norm with fixed statistics is y = x * scale + shift. Applied to the weights of the layer before it, which
    are few, instead of to its output, it costs nothing, and the chain rule gives the same gradients.
    """
    largest = 0

    def measure(_: nn.Module, __: object, output: object) -> None:
        nonlocal largest
        if isinstance(output, Tensor):
            largest = max(largest, output[0].numel() * output.element_size())

    modes = {name: module.training for name, module in network.named_modules()}
    hooks = [module.register_forward_hook(measure) for module in network.modules()]
    try:
        pairs = foldable(network.eval(), inputs[:1])[0]
    finally:
        for hook in hooks:
            hook.remove()
        for name, module in network.named_modules():
            module.training = modes[name]
    shell = _shell(network, pairs)

    def forward(images: Tensor) -> Tensor:
        for name, module in kept:
            module.training = network.get_submodule(name).training
        tensors = dict(network.named_parameters()) | dict(network.named_buffers())
        for layer, norm in pairs:
            tensors |= _scaled(network, layer, norm)
        found: Tensor = functional_call(shell, tensors, (images,), strict=False)
        return found

    norms = [norm for _, norm in pairs]
    kept = [(name, module) for name, module in shell.named_modules() if not is_under(name, norms)]
    return Merged(forward, max(1, _ROOM_BYTES // max(largest, 1)))


def _shell(network: nn.Module, pairs: list[tuple[str, str]]) -> nn.Module:
    """The modules of `network` without the batch norms; their own tensors are never used."""
    shell = copy.deepcopy(network)
    for layer, norm in pairs:
        before: Any = shell.get_submodule(layer)
        after = shell.get_submodule(norm)
        if before.bias is None:
            before.bias = nn.Parameter(torch.zeros(len(before.get_parameter("weight"))), requires_grad=False)
        # timm's BatchNormAct2d applies its activation itself
        act = getattr(after, "act", None)
        shell.set_submodule(norm, act if isinstance(act, nn.Module) else nn.Identity())
    return shell


def _scaled(network: nn.Module, layer: str, norm: str) -> dict[str, Tensor]:
    before, after = network.get_submodule(layer), network.get_submodule(norm)
    assert isinstance(after, nn.modules.batchnorm._BatchNorm)
    assert after.running_var is not None
    assert after.running_mean is not None
    scale = torch.rsqrt(after.running_var + after.eps)
    scale = scale if after.weight is None else scale * after.weight
    weight, bias = before.get_parameter("weight"), before.bias
    assert bias is None or isinstance(bias, Tensor)
    shift = (-after.running_mean if bias is None else bias - after.running_mean) * scale
    shift = shift if after.bias is None else shift + after.bias
    return {f"{layer}.weight": weight * scale.reshape(-1, *[1] * (weight.ndim - 1)), f"{layer}.bias": shift}
