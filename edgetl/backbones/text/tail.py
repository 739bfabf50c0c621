"""A text network after its first layers, which stay frozen: their states are computed once per text."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from edgetl.backbones.text.classifier import TextClassifier


class TextTail(TextClassifier):
    """`whole` without its layers up to `part`, from the states that `part` gives: `with_states` -> logits.

    Masks and positions are computed from the tokens as before, and tables of embeddings stay: looking up costs nothing.
    Raises ValueError if `part` is not in a list of layers.
    """

    def __init__(self, whole: TextClassifier, part: str) -> None:
        nn.Module.__init__(self)
        self.encoder, self.head = copy.deepcopy(whole.encoder), copy.deepcopy(whole.head)
        self.pad, self.pooling, self._part = whole.pad, whole.pooling, part
        owner, _, number = part.rpartition(".")
        layers = self.get_submodule(owner)
        if not isinstance(layers, nn.ModuleList):
            raise ValueError(f"{part}: not in a list of layers")
        for index in range(int(number) + 1):
            layers[index] = _Passed(layers[index])

    def forward(self, tokens: Tensor) -> Tensor:
        last = self.get_submodule(self._part)
        assert isinstance(last, _Passed)
        last.given = tokens[:, :, 1:].contiguous()
        try:
            return super().forward(tokens[:, :, 0].long())
        finally:
            last.given = None


class _Passed(nn.Module):
    """Stands for a frozen layer: gives what it was given, else its input."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        # an encoder may ask its layers for their kind of attention
        vars(self).update({name: value for name, value in vars(layer).items() if not name.startswith("_")})
        self.given: Tensor | None = None

    def forward(self, states: Tensor, *_: object, **__: object) -> Tensor:
        return states if self.given is None else self.given


def with_states(tokens: Tensor, states: Tensor) -> Tensor:
    """int64 (N, L), float32 (N, L, width) -> float32 (N, L, 1 + width), which holds ids below 2**24 exactly."""
    return torch.cat((tokens[:, :, None].to(states.dtype), states), 2)
