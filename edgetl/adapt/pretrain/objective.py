"""The contract of a task that needs no labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor, nn


class Objective(Protocol):
    """Examples and a task made from them.

    network   what is trained: the backbone and the layers that only this task needs
    what      the mean loss, in words
    trivial   the same of predictions that need no network
    training, held_out  their numbers of examples
    """

    what: Literal["perplexity", "mean squared error"]
    trivial: float
    training: int
    held_out: int

    @property
    def network(self) -> nn.Module: ...

    def batches(self, generator: torch.Generator) -> Sequence[Sequence[int]]:
        """All training examples in random order."""
        ...

    def loss(self, batch: Sequence[int], generator: torch.Generator) -> Tensor:
        """Mean loss over the predictions of a batch; the network is in training mode."""
        ...

    def held_out_loss(self) -> float:
        """Mean loss over all predictions for the held-out examples; the network is in eval mode."""
        ...

    def shown(self, loss: float) -> float:
        """A mean loss in the unit of `what`."""
        ...

    def backbone(self) -> dict[str, Tensor]:
        """What is kept: the backbone's tensors, without a classifier."""
        ...
