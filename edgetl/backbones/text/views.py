"""Training views of texts: some tokens left out; a pure function of tokens and generator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from edgetl.errors import UsageError
from edgetl.files.text import nearest

_POLICIES = {"none": 0.0, "light": 0.1}
"""The share of tokens that a view leaves out."""


@dataclass(frozen=True)
class TokenViews:
    """Random views of texts under one policy: `none`, or `light`, which leaves out one token of ten.

    The first and the last token stay: they are often marks that the tokenizer has put there.
    """

    policy: str
    pad: int

    def __post_init__(self) -> None:
        if self.policy not in _POLICIES:
            raise UsageError(f"unknown augmentation policy `{self.policy}`; {nearest(self.policy, _POLICIES)}")

    def __call__(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """tokens int64 (N, L), filled up at the end -> the same shape, the rest moved together; on the same device.

        `generator` lives on the CPU, so that the draws are the same on every device.
        """
        if tokens.dtype != torch.int64 or tokens.ndim != 2:
            raise ValueError(f"expected int64 (N, L); got {tokens.dtype} {tuple(tokens.shape)}")
        share = _POLICIES[self.policy]
        if share == 0 or tokens.numel() == 0:
            return tokens
        leave_out = (torch.rand(tokens.shape, generator=generator) < share).to(tokens.device)
        real = tokens != self.pad
        places = torch.arange(tokens.shape[1], device=tokens.device)
        leave_out &= real & (places > 0) & (places < real.sum(1, keepdim=True) - 1)
        order = (leave_out | ~real).long().argsort(dim=1, stable=True)
        return tokens.masked_fill(leave_out, self.pad).gather(1, order)
