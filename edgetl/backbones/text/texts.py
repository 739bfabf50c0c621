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
    """int64 (n, any length) -> int64 (n, L), L the first of `p.lengths` that holds the longest text."""
    used = int((tokens != p.pad).any(0).nonzero().amax()) + 1 if bool((tokens != p.pad).any()) else 1
    length = next((length for length in p.lengths if length >= used), p.lengths[-1])
    return functional.pad(tokens[:, :length], (0, max(0, length - tokens.shape[1])), value=p.pad)


of_view = normalize


def as_exported(tokens: NDArray[np.int32], p: TextPreprocessing) -> Tensor:
    """int32 (n, length) -> int64 (n, L), as `normalize` gives it."""
    return normalize(raw(tokens), p)


def noise(p: TextPreprocessing, count: int) -> Tensor:
    """int64 (count, length) of ids that any vocabulary has, in texts of the length before the last: a usual one."""
    length = p.lengths[-2:][0]
    ids = torch.randint(_FEWEST, (count, length), generator=torch.Generator().manual_seed(0))
    return torch.where(ids == p.pad, (p.pad + 1) % _FEWEST, ids)
