"""Folds batch norms into the convolutions and linear layers before them.

Otherwise Q/DQ pairs would separate a convolution from its batch norm and nothing would run in INT8.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval
from torch.utils._pytree import tree_leaves

from edgetl.errors import ParityError
from edgetl.pivot.parts import WHOLE, Inputs, are_tokens, inputs_of, two_examples, with_parts

MAX_RELATIVE_DIFFERENCE = 1e-4
# exact types: a subclass that changes its weights in forward (weight standardization) must not be folded
_FOLDABLE = frozenset({"Conv1d", "FixedConv1d", "Conv2d", "Conv2dSame", "Linear"})


@dataclass(frozen=True)
class Folded:
    """A folded copy: `folded` batch norms went into the layer before them, `left` stay as they are (in eval mode)."""

    module: nn.Module
    folded: int
    left: int
    relative_difference: float


def fold(module: nn.Module, shape: tuple[int, ...]) -> Folded:
    """A copy in eval mode with every foldable batch norm folded and mergeable branches merged (RepVGG's).

    module  float32 (N, *shape), or int64 tokens (N, length), -> a tensor or several, on the CPU; left untouched
    raises  ParityError if the copy is another function: largest difference of an output on random input above 1e-4
            of its largest value.
    """
    return _fold(module.eval(), (_noise(shape),))


def fold_parts(module: nn.Module, parts: Sequence[str], shape: tuple[int, ...]) -> Folded:
    """`fold` of each part alone, with what it takes from the parts before it: what lies between them, such as the
    choice of the best boxes, may turn rounding into another result."""
    if tuple(parts) == WHOLE:
        return fold(module, shape)
    original = module.eval()
    given = inputs_of(original, parts, _noise(shape))
    folded = {name: _fold(original.get_submodule(name), inputs) for name, inputs in given.items()}
    copied = with_parts(copy.deepcopy(original), {name: each.module for name, each in folded.items()})
    return Folded(
        copied,
        sum(each.folded for each in folded.values()),
        sum(each.left for each in folded.values()),
        max(each.relative_difference for each in folded.values()),
    )


def _noise(shape: tuple[int, ...]) -> torch.Tensor:
    if are_tokens(shape):
        return two_examples(shape)
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))


def _fold(original: nn.Module, inputs: Inputs) -> Folded:
    copied = _reparameterized(copy.deepcopy(original))
    pairs, norms = foldable(copied, *inputs)
    for layer, norm in pairs:
        _replace(copied, layer, norm)
    with torch.no_grad():
        expected, found = tree_leaves(original(*inputs)), tree_leaves(copied(*inputs))
    difference = max(
        float((one - other).abs().max() / one.abs().max().clamp(min=1e-6))
        for one, other in zip(expected, found, strict=True)
    )
    if not difference <= MAX_RELATIVE_DIFFERENCE:
        raise ParityError(
            f"folding batch norms changed {type(original).__name__}: outputs on random input differ "
            f"by {difference:.2g} of their range (allowed: {MAX_RELATIVE_DIFFERENCE:g}); choose another backbone"
        )
    return Folded(copied, len(pairs), norms - len(pairs), difference)


def _reparameterized(module: nn.Module) -> nn.Module:
    for part in list(module.modules()):
        merge = getattr(part, "reparameterize", None)
        if callable(merge):
            with torch.no_grad():
                merge()
    return module.eval()


def _is_norm(part: nn.Module) -> bool:
    return isinstance(part, nn.modules.batchnorm._BatchNorm)


def foldable(module: nn.Module, *inputs: Any) -> tuple[list[tuple[str, str]], int]:
    """(layer, batch norm) names where the norm's input is the layer's output, only those that run exactly once;
    and how many batch norms run at all (auxiliary heads do not)."""
    outputs: list[tuple[torch.Tensor, str]] = []
    pairs: list[tuple[str, str]] = []
    calls: dict[str, int] = {}
    hooks = []

    def watch(name: str, part: nn.Module) -> None:
        def after_layer(_: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            calls[name] = calls.get(name, 0) + 1
            outputs.append((output, name))  # kept alive, so that identity means identity

        def before_norm(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            calls[name] = calls.get(name, 0) + 1
            pairs.extend((layer, name) for output, layer in outputs if output is inputs[0])

        if type(part).__name__ in _FOLDABLE:
            hooks.append(part.register_forward_hook(after_layer))
        elif _is_norm(part) and getattr(part, "track_running_stats", True):
            hooks.append(part.register_forward_pre_hook(before_norm))

    for name, part in module.named_modules():
        watch(name, part)
    try:
        with torch.no_grad():
            module(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    once = [(layer, norm) for layer, norm in pairs if calls[layer] == calls[norm] == 1]
    return once, sum(_is_norm(module.get_submodule(name)) for name in calls)


def _replace(module: nn.Module, layer: str, norm: str) -> None:
    before: Any = module.get_submodule(layer)
    after: Any = module.get_submodule(norm)
    fuse: Any = fuse_linear_bn_eval if isinstance(before, nn.Linear) else fuse_conv_bn_eval
    module.set_submodule(layer, fuse(before, after))
    # timm's BatchNormAct2d applies its activation itself
    module.set_submodule(norm, getattr(after, "act", None) or nn.Identity())
