"""Reverts special behavior of timm's networks to that of a plain network with one classifier.

Networks trained by distillation (DeiT, PiT, LeViT, EfficientFormer, SwiftFormer) have a second head. At inference their
logits are the mean of two linear layers, which is one linear layer on the features of both.

Attention with a learned position bias (LeViT, EfficientFormer, TinyViT, EfficientViT) keeps the bias of its first run
in eval mode: weights loaded later are then not used, and a captured network leaves a symbolic tensor behind.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

JOINED_HEAD = "joined_head"
SECOND_HEADS = ("head.", "head_dist.")  # what a checkpoint has in its place
_KEPT_BIAS = "attention_bias_cache"


def plain(network: nn.Module, num_classes: int) -> nn.Module:
    """The same network, in place: two heads become one, and no attention bias is kept from run to run."""
    for part in network.modules():
        if hasattr(part, _KEPT_BIAS) and hasattr(part, "attention_bias_idxs"):
            kind: Any = type(part)
            part.__class__ = _computing_its_bias(kind)
    if _has_two_linear_heads(network):
        _join_heads(network, num_classes)
    return network


def _has_two_linear_heads(network: nn.Module) -> bool:
    getter = getattr(network, "get_classifier", None)
    found = getter() if getter is not None else None
    names = ("head", "head_dist")
    return isinstance(found, tuple) and [*found] == [getattr(network, name, None) for name in names]


def _join_heads(network: Any, num_classes: int) -> None:
    kind: Any = type(network)
    width, tokens = network.num_features, getattr(network, "global_pool", "") == "token"
    network.head = network.head_dist = nn.Identity()
    network.__class__ = _with_one_head(kind, tokens)
    network.register_module(JOINED_HEAD, nn.Linear(2 * width if tokens else width, num_classes))


@cache
def _with_one_head(base: Any, tokens: bool) -> Any:
    """tokens  whether each head has its own token, the first two; otherwise both read the same pooled features"""

    def forward_head(self: Any, x: Tensor, pre_logits: bool = False) -> Any:
        features = x[:, :2].flatten(1) if tokens else base.forward_head(self, x, pre_logits=True)
        features = self.head_drop(features) if tokens else features
        return features if pre_logits else self.joined_head(features)

    def get_classifier(self: Any) -> Any:
        return self.joined_head

    return type(base.__name__, (base,), {"forward_head": forward_head, "get_classifier": get_classifier})


@cache
def _computing_its_bias(base: Any) -> Any:
    def get_attention_biases(self: Any, device: torch.device) -> Any:
        return self.attention_biases[:, self.attention_bias_idxs]

    return type(base.__name__, (base,), {"get_attention_biases": get_attention_biases})
