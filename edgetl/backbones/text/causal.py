"""Decoders that continue a text: GPT-2 and Llama in Hugging Face layout, and stories260k, with their cache as ports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgetl.backbones.checkpoint import listed, read_checkpoint
from edgetl.backbones.text import stories, transformer
from edgetl.backbones.text.tokenizer import describe_folder
from edgetl.backbones.text.weights import COMPUTED, require_safetensors, today
from edgetl.backbones.weights import CONFIG_FILE, config_of, model_file
from edgetl.errors import UsageError, WeightsError
from edgetl.fronts.text.description import Bpe, Description
from edgetl.types.decoders import DecoderShape

KINDS = ("gpt2", "llama")
_HEAD = "lm_head.weight"
_GENERATION = "generation_config.json"
_PREFIX = re.compile(r"^(transformer|model)\.")
_HIDDEN = -1e9


class Continuation(nn.Module):
    """Tokens int64 (1, T) and the cache of P tokens before them -> logits float32 (1, T, V) and the cache of P + T.

    The cache is a key and a value for each layer, float32 (1, heads, P, size), layer by layer.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor, past: list[Tensor]) -> tuple[Tensor, ...]:
        from transformers import DynamicCache

        before, count = past[0].shape[2], tokens.shape[1]
        cache = DynamicCache(list(zip(past[::2], past[1::2], strict=True)))
        places = torch.arange(before, before + count, device=tokens.device)
        later = torch.arange(before + count, device=tokens.device)[None, :] > places[:, None]
        mask = torch.where(later, _HIDDEN, 0.0)[None, None]
        found = self.network(
            input_ids=tokens, past_key_values=cache, position_ids=places[None], attention_mask=mask, use_cache=True
        )
        layers = [part for layer in found.past_key_values.layers for part in (layer.keys, layer.values)]
        return (found.logits, *layers)


@dataclass(frozen=True)
class Decoder:
    """A language model as it was loaded. end  tokens after which nothing follows"""

    network: Continuation
    description: Description
    shape: DecoderShape
    end: tuple[int, ...]
    licence: str


def load_decoder(folder: Path) -> Decoder:
    """Read the decoder in `folder`. Raises WeightsError or UsageError that names the file and what is wrong."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder with a decoder in Hugging Face layout; found no folder")
    own = not (folder / CONFIG_FILE).exists() and folder.resolve().name in stories.NAMES
    kind, arguments = ("llama", dict(stories.CONFIG)) if own else transformer.read_config(folder)
    if kind not in KINDS:
        raise UsageError(f"{folder / CONFIG_FILE}: model_type: expected {' or '.join(KINDS)}; found {kind}")
    path = model_file(folder)
    require_safetensors(path)
    description = describe_folder(folder)
    if not isinstance(description.model, Bpe):
        raise UsageError(f"{folder}: a decoder's tokenizer must merge pairs (BPE); found {description.model.kind}")
    network = transformer.empty_decoder(kind, arguments)
    tensors = stories.renamed(read_checkpoint(path)) if own else today(read_checkpoint(path), kind)
    _fill(network, tensors, str(path))
    config: Any = network.config
    if description.size > config.vocab_size:
        raise WeightsError(
            f"{folder}: {description.size} tokens in the tokenizer; the network knows {config.vocab_size}"
        )
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Decoder(
        network=Continuation(network.eval()),
        description=description,
        shape=DecoderShape(
            layers=int(config.num_hidden_layers),
            heads=int(heads),
            size=int(size),
            vocabulary=int(config.vocab_size),
            context=transformer.positions(kind, arguments),
        ),
        end=_ends(folder, config),
        licence="MIT" if own else transformer.licence_of(folder),
    )


def _ends(folder: Path, config: Any) -> tuple[int, ...]:
    stated: Any = config_of(folder / _GENERATION).get("eos_token_id", config.eos_token_id)
    found = stated if isinstance(stated, list) else [] if stated is None else [stated]
    return tuple(sorted({int(each) for each in found} | ({1} if folder.name in stories.NAMES else set())))


def _fill(network: nn.Module, found: Mapping[str, Tensor], where: str) -> None:
    """Copy every tensor; a head that the file lacks, or that equals the embedding, shares the embedding's table."""
    tensors = {_PREFIX.sub("", name): tensor for name, tensor in found.items() if not COMPUTED.search(name)}
    embedding: nn.Embedding = network.get_input_embeddings()  # type: ignore[operator]
    own = {_PREFIX.sub("", name): tensor for name, tensor in network.state_dict().items() if name != _HEAD}
    head = tensors.pop(_HEAD, None)
    wrong = [
        name for name in sorted({*own, *tensors})
        if name not in tensors or name not in own or own[name].shape != tensors[name].shape
    ]  # fmt: skip
    if wrong or (head is not None and head.shape != embedding.weight.shape):
        raise WeightsError(f"{where}: not the tensors of this network; they differ in {listed(wrong or [_HEAD])}")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
        last: nn.Linear = network.get_submodule("lm_head")  # type: ignore[assignment]
        shared = head is None or torch.equal(head.float(), embedding.weight)
        last.weight = embedding.weight if shared else nn.Parameter(head.float())  # type: ignore[union-attr]
