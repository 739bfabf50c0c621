"""stories260k: a very small decoder of the Llama kind for English children's stories, published for llama2.c."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from edgetl.backbones.text import transformer
from edgetl.backbones.text.native import TextSource, no_weights
from edgetl.backbones.text.tokenizer import describe_folder
from edgetl.fronts.text.description import Description

NAMES = ("stories260k",)
POSITIONS = 512
POOLING = "last"

_HEADS, _WIDTH = 8, 64
CONFIG = {
    "vocab_size": 512, "hidden_size": _WIDTH, "intermediate_size": 172, "num_hidden_layers": 5,
    "num_attention_heads": _HEADS, "num_key_value_heads": 4, "max_position_embeddings": POSITIONS,
    "rms_norm_eps": 1e-5, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_NAMES = {
    "embedding": "embed_tokens", "norm": "norm", "norm1": "input_layernorm", "norm2": "post_attention_layernorm",
    "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "o": "self_attn.o_proj",
    "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj",
}  # fmt: skip
_BLOCK = re.compile(r"blocks\.(\d+)\.(\w+)\.weight")


def prepare(name: str, folder: Path | None, texts: TextSource) -> tuple[Description, dict[str, Any]]:
    """Its tokenizer, and what `construct` needs besides."""
    if folder is None:
        raise no_weights(name)
    return describe_folder(folder), {}


def construct(name: str, model_args: Mapping[str, Any], num_classes: int) -> nn.Module:
    return transformer.construct("llama", {"config": CONFIG, **model_args}, num_classes)


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under the names of `transformers`, which turns halves of a head where llama2.c turns neighbors."""
    found = {}
    for name, tensor in tensors.items():
        block = _BLOCK.fullmatch(name)
        part = block[2] if block else name.removesuffix(".weight")
        new = f"{f'layers.{block[1]}.' if block else ''}{_NAMES.get(part, part)}.weight"
        found[new] = _halves(tensor) if part in ("q", "k") else tensor
    return found


def _halves(weight: Tensor) -> Tensor:
    """(heads * size, width) whose rows are pairs of neighbors -> first ones of all pairs of a head, then the second."""
    size = _WIDTH // _HEADS
    return weight.reshape(-1, size // 2, 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)
