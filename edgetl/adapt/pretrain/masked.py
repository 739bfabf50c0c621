"""Windows with gaps: the network sees them without some runs of values and fills these in.

Zerveas, Jayaraman, Patel, Bhamidipaty and Eickhoff, "A Transformer-based Framework for Multivariate Time Series
Representation Learning", KDD 2021, arXiv:2010.02803, section 3.3: each channel on its own, runs of geometric length, a
share of 0.15, the squared error of hidden values only. Runs are longer here (a 16th of a window on average, not 3
moments), because a convolution interpolates short ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

_BATCH = 32
_SHARE = 0.15
_SHORTEST, _RUNS = 3.0, 16
_SEED = 0  # of the gaps in held-out windows, which are the same in every epoch


class Filler(nn.Module):
    """Windows (N, channels, steps) with zeros in their gaps -> the same shape, whole."""

    def __init__(self, network: nn.Module, width: int, channels: int) -> None:
        super().__init__()
        self.network = network
        self.decoder = nn.Conv1d(width, channels, 5, padding=2)

    def forward(self, windows: Tensor) -> Tensor:
        states = self.network.encode(windows)  # type: ignore[operator]
        found: Tensor = self.decoder(functional.interpolate(states, windows.shape[2], mode="linear"))
        return found


class Masked:
    """The objective of windows: float32 (n, channels, steps), scaled by channel."""

    what: Literal["perplexity", "mean squared error"] = "mean squared error"

    def __init__(self, network: nn.Module, head: str, training: Tensor, held_out: Tensor) -> None:
        self._head, self._train, self._held_out = head, training, held_out
        self.training, self.held_out = len(training), len(held_out)
        self.network = Filler(network, network.get_submodule(head).in_features, training.shape[1])  # type: ignore[arg-type]
        self._gaps = gaps(held_out.shape, torch.Generator().manual_seed(_SEED))
        self.trivial = float(held_out[self._gaps].square().mean())

    def batches(self, generator: torch.Generator) -> Sequence[Sequence[int]]:
        order = torch.randperm(len(self._train), generator=generator)
        parts = [part.tolist() for part in torch.split(order, _BATCH)]
        return parts if len(parts[-1]) > 1 else parts[:-1]  # a batch norm has no statistics of one window

    def loss(self, batch: Sequence[int], generator: torch.Generator) -> Tensor:
        windows = self._train[list(batch)]
        return self._error(windows, gaps(windows.shape, generator))

    def held_out_loss(self) -> float:
        total, count = 0.0, 0
        for windows, hidden in zip(torch.split(self._held_out, _BATCH), torch.split(self._gaps, _BATCH), strict=True):
            total += float(self._error(windows, hidden)) * int(hidden.sum())
            count += int(hidden.sum())
        return total / count

    def shown(self, loss: float) -> float:
        return loss

    def backbone(self) -> dict[str, Tensor]:
        state = self.network.network.state_dict()
        return {name: tensor for name, tensor in state.items() if not name.startswith(f"{self._head}.")}

    def _error(self, windows: Tensor, hidden: Tensor) -> Tensor:
        device = self.network.decoder.weight.device
        windows, hidden = windows.to(device), hidden.to(device)
        filled: Tensor = self.network(windows.masked_fill(hidden, 0.0))
        return (filled - windows)[hidden].square().mean()


def gaps(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """bool (n, channels, steps), True in runs of geometric length; every batch has at least one."""
    length = max(_SHORTEST, shape[2] / _RUNS)
    leave, enter = 1 / length, _SHARE / (1 - _SHARE) / length
    draws = torch.rand(shape, generator=generator)
    inside = torch.rand(shape[:2], generator=generator) < _SHARE
    steps = []
    for moment in draws.unbind(2):
        inside = torch.where(inside, moment >= leave, moment < enter)
        steps.append(inside)
    found = torch.stack(steps, 2)
    found[0, 0, 0] |= not bool(found.any())
    return found
