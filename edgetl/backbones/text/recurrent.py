"""A recurrent encoder that reads a text from both ends; from random weights, or those of `edgetl pretrain`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from edgetl.backbones.text.classifier import TextClassifier
from edgetl.backbones.text.native import TextSource
from edgetl.backbones.text.vocabulary import words_of
from edgetl.errors import BundleError, WeightsError
from edgetl.fronts.text.description import Description, read_description
from edgetl.types import TOKENIZER

NAMES = {"text_lstm": nn.LSTM, "text_gru": nn.GRU}
POSITIONS = 4096
POOLING = "mean"
_WIDTH, _HIDDEN = 128, 128


class States(NamedTuple):
    """What an encoder returns, as `transformers` calls it: float32 (N, L, width)."""

    last_hidden_state: Tensor


class BothWays(nn.Module):
    """One layer reads from the first token on, one from the last real one back: padding in between is not seen.

    rows  of the table of embeddings
    """

    def __init__(self, rows: int, kind: type[nn.LSTM] | type[nn.GRU]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(rows, _WIDTH)
        self.onward = kind(_WIDTH, _HIDDEN, batch_first=True)
        self.back = kind(_WIDTH, _HIDDEN, batch_first=True)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> States:
        embedded = self.embedding(input_ids)
        count = attention_mask.sum(1, keepdim=True)
        places = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
        mirrored = torch.where(places < count, count - 1 - places, places)[:, :, None]
        onward, _ = self.onward(embedded)
        back, _ = self.back(embedded.gather(1, mirrored.expand(-1, -1, _WIDTH)))
        return States(torch.cat((onward, back.gather(1, mirrored.expand(-1, -1, _HIDDEN))), 2))


def prepare(name: str, folder: Path | None, texts: TextSource) -> tuple[Description, dict[str, Any]]:
    """The vocabulary beside the weights, or one of the words in the shots; and what `construct` needs besides.

    Raises WeightsError for weights without a vocabulary.
    """
    description = words_of(texts.texts) if folder is None else _vocabulary(folder / TOKENIZER, name)
    return description, {"rows": description.size}


def _vocabulary(path: Path, name: str) -> Description:
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; weights of `{name}` need the words that they were trained with")
    try:
        return read_description(path)
    except BundleError as error:
        raise WeightsError(str(error)) from error


def construct(name: str, model_args: Mapping[str, Any], num_classes: int) -> nn.Module:
    encoder = BothWays(model_args["rows"], NAMES[name])
    return TextClassifier(encoder, 2 * _HIDDEN, num_classes, model_args["pad"], model_args["pooling"])


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return dict(tensors)
