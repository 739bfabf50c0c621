"""The parts of a network that are captured and quantized; what is around them stays float and is exported as it is.

A classifier is one part, itself: its name is "". A detector names those of its modules before and between which boxes
are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

WHOLE: tuple[str, ...] = ("",)

Inputs = tuple[Tensor, ...]

_FEW_TOKENS = 8  # the length of a text that a network is captured with
_SPECIAL = 5  # tokens that every vocabulary has: padding, unknown, begin, end, mask


def are_tokens(shape: Sequence[int]) -> bool:
    """Whether `Preprocessing.network_shape` is that of a text, of any length up to its only size."""
    return len(shape) == 1


def two_examples(shape: Sequence[int]) -> Tensor:
    """An input to capture a network with: zeros, float32 (2, *shape), or of texts different int64 tokens (2, few)."""
    if not are_tokens(shape):
        return torch.zeros(2, *shape)
    few = min(shape[0], _FEW_TOKENS)
    return torch.arange(2 * few).reshape(2, few) % _SPECIAL


@torch.no_grad()
def inputs_of(module: nn.Module, parts: Sequence[str], images: Tensor) -> dict[str, Inputs]:
    """What each part takes when `module` computes `images`, by name."""
    found: dict[str, Inputs] = {}
    hooks = [module.get_submodule(name).register_forward_pre_hook(_keeper(found, name)) for name in parts]
    try:
        module(images)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _keeper(found: dict[str, Inputs], name: str) -> Callable[[nn.Module, Inputs], None]:
    def keep(_: nn.Module, inputs: Inputs) -> None:
        found[name] = inputs

    return keep


def with_parts(module: nn.Module, parts: Mapping[str, nn.Module]) -> nn.Module:
    """`module` with its parts replaced, in place; the part "" is the whole."""
    if "" in parts:
        return parts[""]
    for name, part in parts.items():
        module.set_submodule(name, part)
    return module
