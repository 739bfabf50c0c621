"""Squeeze-and-excitation gates as constants: one factor per channel, written into the weights of a neighboring
layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edgetl.backbones.replaceable import ChannelScale, Fold, gates


@torch.no_grad()
def constants(network: nn.Module, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """For each gate, the factors (channels,) closest to it on `batches`; 1 for channels that are always zero.

    batches  float32 (n, 3, H, W), normalized, on the network's device

    A gate turns x into g(x) x. The constant with the least squared error sum (g x - s x)^2 per channel is
    s = sum (g x) x / sum x^2: the mean of the gate, in which images count as much as their channel carries.
    """
    sums: dict[str, tuple[Tensor, Tensor]] = {}

    def watch(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            x, y = inputs[0].double(), output.double()
            found = ((x * y).sum((0, 2, 3)), x.square().sum((0, 2, 3)))
            before = sums.get(name)
            sums[name] = found if before is None else (before[0] + found[0], before[1] + found[1])

        return hook

    hooks = [network.get_submodule(name).register_forward_hook(watch(name)) for name in gates(network)]
    try:
        for batch in batches:
            network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return {
        name: torch.where(power > 0, product / power.clamp(min=1e-30), 1.0).float()
        for name, (product, power) in sums.items()
    }


@torch.no_grad()
def write_constants(network: nn.Module, folds: Sequence[Fold], factors: Mapping[str, Tensor]) -> None:
    """Write the gates' factors into an operated network, each where its fold says."""
    for fold in folds:
        factor = factors[fold.gate]
        if fold.into == "nothing":
            left = network.get_submodule(fold.gate)
            assert isinstance(left, ChannelScale), fold.gate
            left.scale.copy_(factor.reshape(left.scale.shape))
            continue
        layer: Any = network.get_submodule(fold.layer)
        if fold.into == "norm":
            layer.weight.mul_(factor)
            layer.bias.mul_(factor)
        else:
            layer.weight.mul_(_per_input(factor, layer))


def _per_input(factor: Tensor, layer: nn.Conv2d) -> Tensor:
    """(channels,) in the shape (outputs, inputs per group, 1, 1) of the inputs that the layer's weights read."""
    per_group = factor.reshape(layer.groups, -1)
    return per_group.repeat_interleave(layer.out_channels // layer.groups, dim=0)[:, :, None, None]
