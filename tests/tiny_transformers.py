"""Folders in Hugging Face layout: a few thousand random weights, and a tokenizer of a few hundred pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

Kind = Literal["bert", "roberta", "distilbert", "gpt2", "llama"]
KINDS: tuple[Kind, ...] = ("bert", "roberta", "distilbert", "gpt2", "llama")
PIECES = 300

_WORDS = (
    "the",
    "a",
    "cat",
    "dog",
    "sat",
    "ran",
    "on",
    "under",
    "red",
    "was",
    "good",
    "bad",
    "very",
    "not",
    "film",
    "plot",
)
CORPUS = [" ".join(_WORDS[(start * step + 3 * start + step) % len(_WORDS)] for step in range(9)) for start in range(60)]


def tiny_transformer(folder: Path, kind: Kind, *, headed: bool = False) -> Path:
    """Write config.json, model.safetensors and tokenizer files into `folder`; the same bytes each time.

    headed  as published after pretraining: tensors under a prefix, beside the head of the language model
    """
    transformers = pytest.importorskip("transformers", reason="needs the extra `text`")
    import torch

    fast, pad, marks = _tokenizer(kind)
    names = {**_SIZES[kind], "vocab_size": max(PIECES, fast.get_vocab_size()), "pad_token_id": pad, **marks}
    config = transformers.AutoConfig.for_model(kind, **names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if not headed:
            network = transformers.AutoModel.from_config(config)
        elif kind in ("gpt2", "llama"):
            network = transformers.AutoModelForCausalLM.from_config(config)
        else:
            network = transformers.AutoModelForMaskedLM.from_config(config)
    network.save_pretrained(folder)
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=fast, pad_token=fast.id_to_token(pad))
    wrapped.save_pretrained(folder)
    return folder


_WIDTH = 32
_SIZES: dict[Kind, dict[str, Any]] = {
    "bert": {
        "hidden_size": _WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
        "max_position_embeddings": 64,
    },
    "roberta": {
        "hidden_size": _WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
        "max_position_embeddings": 66,
    },
    "distilbert": {"dim": _WIDTH, "n_layers": 2, "n_heads": 2, "hidden_dim": 48, "max_position_embeddings": 64},
    "gpt2": {"n_embd": _WIDTH, "n_layer": 2, "n_head": 2, "n_positions": 64},
    "llama": {
        "hidden_size": _WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 48, "max_position_embeddings": 64,
    },
}  # fmt: skip


def _tokenizer(kind: Kind) -> tuple[Any, int, dict[str, int]]:
    """A trained tokenizer, its padding token, and the marks of the configuration."""
    tokenizers = pytest.importorskip("tokenizers", reason="needs the extra `text`")
    processors = tokenizers.processors
    if kind in ("bert", "distilbert"):
        found = tokenizers.BertWordPieceTokenizer()
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        found.train_from_iterator(CORPUS, vocab_size=PIECES, special_tokens=special, show_progress=False)
        inner = found._tokenizer
        inner.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        return inner, 0, {}
    if kind in ("gpt2", "roberta"):
        special = ["<s>", "<pad>", "</s>", "<unk>"] if kind == "roberta" else ["<|endoftext|>"]
        found = tokenizers.ByteLevelBPETokenizer()
        found.train_from_iterator(CORPUS, vocab_size=PIECES, special_tokens=special, show_progress=False)
        inner = found._tokenizer
        if kind == "gpt2":
            return inner, 0, {"bos_token_id": 0, "eos_token_id": 0}
        inner.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
        )
        return inner, 1, {"bos_token_id": 0, "eos_token_id": 2}
    return _sentencepiece(tokenizers), 0, {"bos_token_id": 1, "eos_token_id": 2}


def _sentencepiece(tokenizers: Any) -> Any:
    """As Llama 2 has it: spaces as marks, unknown characters as bytes, `<s>` in front."""
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    inner = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    inner.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.Prepend("▁"), tokenizers.normalizers.Replace(" ", "▁")]
    )
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    inner.train_from_iterator(CORPUS, trainer)
    inner.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return inner
