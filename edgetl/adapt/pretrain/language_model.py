"""A bidirectional language model: each direction predicts the next token from what it has read.

ELMo: Peters et al., "Deep contextualized word representations", NAACL 2018, arXiv:1802.05365, section 3.1: the sum of
both directions' log likelihoods, one table of embeddings and one output layer for both. The output layer is the table
of embeddings itself (Press and Wolf 2017, arXiv:1608.05859), because there are few texts for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from edgetl.backbones.text.recurrent import BothWays
from edgetl.fronts.text.description import Description
from edgetl.fronts.text.encode import Tokenizer

_LONGEST = 128  # tokens that are read at once; longer texts are cut into pieces
_BATCH = 16
_SORTED = 8  # batches whose texts are sorted by length, so that there is little padding
_DROPOUT = 0.3
_LOST = 0.1  # tokens that are hidden from the network in training (word dropout: Iyyer et al. 2015)
_UNKNOWN = 1


class BothDirections(nn.Module):
    """Token ids (N, L), filled up with `pad` -> mean negative log likelihood of each next and each previous token."""

    def __init__(self, encoder: BothWays, pad: int) -> None:
        super().__init__()
        self.encoder, self.pad = encoder, pad
        self.bias = nn.Parameter(torch.zeros(encoder.embedding.num_embeddings))
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, seen: Tensor, tokens: Tensor) -> Tensor:
        """seen  the ids that are read, some of them hidden;  tokens  those to predict"""
        real = tokens != self.pad
        onward, back = self.encoder(seen, real.long()).last_hidden_state.chunk(2, 2)
        states = torch.cat((onward[:, :-1][real[:, 1:]], back[:, 1:][real[:, 1:]]))
        table = self.encoder.embedding.weight
        logits = functional.linear(self.dropout(states), table / math.sqrt(table.shape[1]), self.bias)
        return functional.cross_entropy(logits, targets_of(tokens, real))


def targets_of(tokens: Tensor, real: Tensor) -> Tensor:
    """Ids to predict: the next ones of a batch, then the previous ones, (2 * predictions,)."""
    return torch.cat((tokens[:, 1:][real[:, 1:]], tokens[:, :-1][real[:, 1:]]))


class LanguageModel:
    """The objective of texts."""

    what: Literal["perplexity", "mean squared error"] = "perplexity"

    def __init__(
        self, encoder: BothWays, description: Description, training: Sequence[str], held_out: Sequence[str]
    ) -> None:
        tokenizer = Tokenizer(description)
        self._pad = description.pad
        self._train, self._held_out = (pieces_of(texts, tokenizer) for texts in (training, held_out))
        self.training, self.held_out = len(training), len(held_out)
        shares = self._shares(description.size)
        targets = torch.cat([torch.cat((row[1:], row[:-1])) for row in self._held_out])
        self.trivial = float(-shares[targets].mean())
        self.network = BothDirections(encoder, description.pad)
        with torch.no_grad():
            self.network.bias.copy_(shares)  # so that it begins near the trivial predictions

    def batches(self, generator: torch.Generator) -> Sequence[Sequence[int]]:
        order = torch.randperm(len(self._train), generator=generator).tolist()
        size = _BATCH * _SORTED
        found = []
        for start in range(0, len(order), size):
            part = sorted(order[start : start + size], key=lambda index: len(self._train[index]))
            found += [part[first : first + _BATCH] for first in range(0, len(part), _BATCH)]
        return [found[place] for place in torch.randperm(len(found), generator=generator).tolist()]

    def loss(self, batch: Sequence[int], generator: torch.Generator) -> Tensor:
        tokens = self._tokens([self._train[index] for index in batch])
        hidden = torch.rand(tokens.shape, generator=generator) < _LOST
        seen = torch.where(hidden & (tokens != self._pad), _UNKNOWN, tokens)
        return self._nll(seen, tokens)

    def held_out_loss(self) -> float:
        rows = sorted(self._held_out, key=len)
        total, count = 0.0, 0
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            tokens, predictions = self._tokens(part), sum(map(len, part)) - len(part)
            total += float(self._nll(tokens, tokens)) * predictions
            count += predictions
        return total / count

    def shown(self, loss: float) -> float:
        return math.exp(min(loss, 700.0))

    def backbone(self) -> dict[str, Tensor]:
        return self.network.encoder.state_dict()

    def _tokens(self, rows: Sequence[Tensor]) -> Tensor:
        return pad_sequence(list(rows), batch_first=True, padding_value=self._pad)

    def _nll(self, seen: Tensor, tokens: Tensor) -> Tensor:
        device = self.network.bias.device
        found: Tensor = self.network(seen.to(device), tokens.to(device))
        return found

    def _shares(self, size: int) -> Tensor:
        """Logarithm of each token's share of the training texts, every count one higher: float64 (size,)."""
        counts = torch.bincount(torch.cat(self._train), minlength=size).double() + 1
        return (counts / counts.sum()).log()


def pieces_of(texts: Sequence[str], tokenizer: Tokenizer) -> list[Tensor]:
    """int64 ids of at most 128 tokens each; what has a single token predicts nothing and is left out."""
    rows = [torch.tensor(tokenizer.encode(text), dtype=torch.int64) for text in texts]
    return [piece for row in rows for piece in torch.split(row, _LONGEST) if len(piece) > 1]
