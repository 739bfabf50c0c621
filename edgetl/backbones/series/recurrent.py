"""Networks of one recurrent layer: GRU (Cho et al. 2014, arXiv:1406.1078) and LSTM (Hochreiter and Schmidhuber 1997).

Their recurrent weights stay float: no runtime rounds a GRU, and at this size rounding an LSTM gains nothing.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

_HIDDEN = 64
_LAYERS = {"gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(nn.Module):
    """Windows (N, channels, steps) -> logits (N, num_classes), from the mean of the states after all time steps."""

    def __init__(self, num_classes: int, channels: int, kind: str) -> None:
        super().__init__()
        layer: Any = _LAYERS[kind]
        self.recurrent = layer(channels, _HIDDEN, batch_first=True)
        self.classifier = nn.Linear(_HIDDEN, num_classes)

    def encode(self, x: Tensor) -> Tensor:
        """(N, channels, steps) -> states (N, 64, steps)."""
        states: Tensor = self.recurrent(x.transpose(1, 2))[0]
        return states.transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.encode(x).mean(2))
        return logits


def construct(name: str, num_classes: int, channels: int, steps: int) -> nn.Module:
    return Recurrent(num_classes, channels, name)
