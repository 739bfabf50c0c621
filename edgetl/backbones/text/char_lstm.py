"""char_lstm: two LSTM layers over characters, from the package textgenrnn. Features as in ELMo: every layer counts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgetl.backbones.text.classifier import TextClassifier
from edgetl.backbones.text.native import TextSource, no_weights
from edgetl.backbones.text.recurrent import States
from edgetl.backbones.text.vocabulary import characters_of
from edgetl.fronts.text.description import Description

NAMES = ("char_lstm",)
POSITIONS = 4096
POOLING = "mean"
_ROWS, _WIDTH, _HIDDEN = 465, 100, 128
_HEADS = ("attention.", "output.")


class CharLSTM(nn.Module):
    """States (N, L, 356): the embedding and both layers side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_ROWS, _WIDTH)
        self.rnn1 = nn.LSTM(_WIDTH, _HIDDEN, batch_first=True)
        self.rnn2 = nn.LSTM(_HIDDEN, _HIDDEN, batch_first=True)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> States:
        embedded = self.embedding(input_ids)
        first, _ = self.rnn1(embedded)
        second, _ = self.rnn2(first)
        return States(torch.cat((embedded, first, second), 2))


def prepare(name: str, folder: Path | None, texts: TextSource) -> tuple[Description, dict[str, Any]]:
    """Its characters, and what `construct` needs besides."""
    if folder is None:
        raise no_weights(name)
    return characters_of(folder / "vocabulary.json", _ROWS), {}


def construct(name: str, model_args: Mapping[str, Any], num_classes: int) -> nn.Module:
    return TextClassifier(CharLSTM(), _WIDTH + 2 * _HIDDEN, num_classes, model_args["pad"], model_args["pooling"])


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the language model's own layers."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(_HEADS)}
