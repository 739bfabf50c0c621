"""Keyword networks of one recurrent layer over cepstral coefficients.

Zhang, Suda, Lai and Chandra, "Hello Edge: Keyword Spotting on Microcontrollers", 2017. Parts have the names of the
published weights.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from edgetl.backbones.audio.ds_cnn import CEPSTRUM
from edgetl.backbones.audio.native import NativeAudio

NATIVE = NativeAudio(16000, 16000, CEPSTRUM)
NAMES = {"kws_lstm_m": ("lstm", 214), "kws_gru_m": ("gru", 200)}
UNUSED: tuple[str, ...] = ()


class KeywordRecurrent(nn.Module):
    """Coefficients (N, 1, frames, features) -> logits (N, num_classes), from the state after the last frame."""

    def __init__(self, num_classes: int, features: int, kind: str, hidden: int) -> None:
        super().__init__()
        layer: Any = {"lstm": nn.LSTM, "gru": nn.GRU}[kind]
        self._kind = kind
        self.add_module(kind, layer(features, hidden, batch_first=True))
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.get_submodule(self._kind)(x.squeeze(1))
        logits: Tensor = self.head(states[:, -1])
        return logits


def construct(name: str, num_classes: int, frames: int, bands: int) -> nn.Module:
    return KeywordRecurrent(num_classes, bands, *NAMES[name])
