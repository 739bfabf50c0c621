"""A transformer of two layers, 32 wide, over a vocabulary of 40 words, as torch network and as float pivot.

int64 tokens (N, length) -> embeddings, attention, GELU, mean over what is not padding -> three classes.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgetl.pivot.attach import attach
from edgetl.pivot.from_torch import to_onnx
from edgetl.types import TextPreprocessing

WORDS, PAD, WIDTH, HEADS, LONGEST = 40, 0, 32, 4, 32
LABELS = ("low", "middle", "high")
PREPROCESSING = TextPreprocessing("ab" * 32, PAD, (8, 16, LONGEST))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.output = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.widen, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        query, key, value = (
            layer(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(2, 3) / (WIDTH // HEADS) ** 0.5 + hidden
        mixed = (scores.softmax(3) @ value).transpose(1, 2).flatten(2)
        x = self.first(x + self.output(mixed))
        found: Tensor = self.second(x + self.narrow(nn.functional.gelu(self.widen(x))))
        return found


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(LONGEST, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.first, self.second = Block(), Block()
        self.head = nn.Linear(WIDTH, len(LABELS))

    def forward(self, tokens: Tensor) -> Tensor:
        kept = (tokens != PAD).float()
        hidden = ((1 - kept) * -1e4)[:, None, None, :]
        x = self.norm(self.words(tokens) + self.places.weight[: tokens.shape[1]])
        x = self.second(self.first(x, hidden), hidden)
        mean = (x * kept[:, :, None]).sum(1) / kept.sum(1, keepdim=True).clamp(min=1)
        logits: Tensor = self.head(mean)
        return logits


def reader(seed: int = 0) -> Reader:
    """An untrained network whose logits differ from text to text, in eval mode."""
    torch.manual_seed(seed)
    network = Reader().eval()
    nn.init.normal_(network.head.weight, std=1.0)
    return network


def texts(count: int, length: int, seed: int = 0) -> NDArray[np.int32]:
    """int32 (count, length), filled up with padding; the first text has no padding."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, WORDS, (count, length), dtype=np.int32)
    for row in tokens[1:]:
        row[rng.integers(1, length + 1) :] = PAD
    return tokens


@cache
def float_pivot() -> onnx.ModelProto:
    """Callers that change it take a copy first."""
    return attach(to_onnx(reader(), PREPROCESSING.network_shape), PREPROCESSING, LABELS)
