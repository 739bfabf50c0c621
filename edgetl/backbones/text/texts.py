"""Texts as network inputs, with the functions that `edgetl.backbones.examples` asks every front for."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from edgetl.backbones.text.views import TokenViews
from edgetl.types import TextPreprocessing

_FEWEST = 32  # ids of the smallest vocabulary


def raw(tokens: NDArray[np.int32]) -> Tensor:
    """int32 (n, length) -> int64 of the same shape."""
    return torch.from_numpy(tokens).long()


def views(policy: str, p: TextPreprocessing) -> TokenViews:
    """Training views. Raises UsageError for an unknown policy."""
    return TokenViews(policy, p.pad)


def normalize(tokens: Tensor, p: TextPreprocessing) -> Tensor:
    """int64 (n, any length) -> int64 (n, L) without padding that all texts have, which costs time in training."""
    real = (tokens != p.pad).any(0).nonzero()
    return tokens[:, : min(int(real.amax()) + 1, p.lengths[-1]) if len(real) else 1]


def of_view(tokens: Tensor, p: TextPreprocessing) -> Tensor:
    """int64 (n, any length) -> int64 (n, L), L the first of `p.lengths` that holds the longest text."""
    real = normalize(tokens, p)
    length = next(length for length in p.lengths if length >= real.shape[1])
    return functional.pad(real, (0, length - real.shape[1]), value=p.pad)


def as_exported(tokens: NDArray[np.int32], p: TextPreprocessing) -> Tensor:
    """int32 (n, length) -> int64 (n, L), as `of_view` gives it."""
    return of_view(raw(tokens), p)


def noise(p: TextPreprocessing, count: int) -> Tensor:
    """int64 (count, length) of ids that any vocabulary has, in texts of the length before the last: a usual one."""
    length = p.lengths[-2:][0]
    ids = torch.randint(_FEWEST, (count, length), generator=torch.Generator().manual_seed(0))
    return torch.where(ids == p.pad, (p.pad + 1) % _FEWEST, ids)
