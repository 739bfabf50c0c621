"""Tokenizers of every supported kind, trained by the library `tokenizers`, and texts to compare them on."""

from __future__ import annotations

import csv
import json
import random
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from edgetl.fronts.text.unicode import table_rows

TRAINED_ON = 2000
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


def real_texts(shared: Path, *names: str) -> list[str]:
    """Texts of tables in the folder of shared data, in order."""
    tables = [(shared / "data" / "text" / f"{name}.csv").read_text(encoding="utf-8") for name in names]
    return [row["text"] for table in tables for row in csv.DictReader(table.splitlines(keepends=True))]


def random_texts(count: int, seed: int) -> list[str]:
    """Up to 30 characters of all of Unicode, of what normalization changes, and of what splits words."""
    chance = random.Random(seed)
    pools: list[list[str]] = [
        *([chr(row[0]) for row in table_rows(name)] for name in ("class", "nfd", "nfkd", "lower")),
        [chr(point) for point in range(32, 127)],
        [chr(point) for point in range(0x250)],
        [chr(point) for point in (*range(0xAC00, 0xAD00), *range(0x1100, 0x1200))],
        [
            *"'sStT\u017f ll rE \t\r\n\u00a0\u3000\u2581\u0120##123",
            "'ll",
            "\r\n",
            "  ",
            "[SEP]",
            "</s>",
            "<mask>",
            "\u200d",
        ],
    ]

    def character() -> str:
        if chance.random() < 0.25:
            return chr(chance.choice([chance.randrange(0xD800), chance.randrange(0xE000, 0x110000)]))
        return chance.choice(chance.choice(pools))

    return ["".join(character() for _ in range(chance.randint(1, 30))) for _ in range(count)]


def train(kind: str, texts: Iterable[str], folder: Path) -> Path:
    """Write `tokenizer.json` and the settings with its padding token, as a model's folder has them."""
    trained = TRAINERS[kind](list(texts)[:TRAINED_ON])
    trained.save(str(folder / "tokenizer.json"))
    pad = next((token for token in ("[PAD]", "<pad>") if trained.token_to_id(token) is not None), "</s>")
    (folder / "tokenizer_config.json").write_text(f'{{"pad_token": "{pad}"}}')
    return folder


def _library() -> Any:
    return pytest.importorskip("tokenizers", reason="the extra `text` is not installed")


def _word_piece(lower: bool) -> Any:
    def make(texts: list[str]) -> Any:
        lib = _library()
        made = lib.Tokenizer(lib.models.WordPiece(unk_token="[UNK]"))
        made.normalizer = lib.normalizers.BertNormalizer(lowercase=lower)
        made.pre_tokenizer = lib.pre_tokenizers.BertPreTokenizer()
        specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        made.train_from_iterator(
            texts, lib.trainers.WordPieceTrainer(vocab_size=2000, special_tokens=specials, show_progress=False)
        )
        made.add_special_tokens([lib.AddedToken("[MASK]", lstrip=True, rstrip=True)])
        made.add_tokens(["Edge", lib.AddedToken("caf\u00e9", normalized=True)])
        made.post_processor = lib.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        return made

    return make


def _byte_level(texts: list[str]) -> Any:
    """As RoBERTa: a space in front, marks of beginning and end, a mask that takes the space before it."""
    lib = _library()
    made = lib.Tokenizer(lib.models.BPE())
    made.pre_tokenizer = lib.pre_tokenizers.ByteLevel(add_prefix_space=True)
    specials = ["<s>", "<pad>", "</s>", "<unk>", lib.AddedToken("<mask>", lstrip=True)]
    made.train_from_iterator(texts, _bytes_trainer(lib, specials))
    made.post_processor = lib.processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return made


def _llama3(texts: list[str]) -> Any:
    lib = _library()
    made = lib.Tokenizer(lib.models.BPE(ignore_merges=True))
    made.normalizer = lib.normalizers.NFC()
    made.pre_tokenizer = lib.pre_tokenizers.Sequence(
        [
            lib.pre_tokenizers.Split(lib.Regex(LLAMA3), "isolated"),
            lib.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.train_from_iterator(texts, _bytes_trainer(lib, ["<|begin_of_text|>", "</s>"]))
    made.post_processor = lib.processors.Sequence(
        [
            lib.processors.ByteLevel(),
            lib.processors.TemplateProcessing(
                single="<|begin_of_text|> $A", pair=None, special_tokens=[("<|begin_of_text|>", 0)]
            ),
        ]
    )
    return made


def _digits(texts: list[str]) -> Any:
    """As StarCoder: each digit alone, and bytes that are no piece left out."""
    lib = _library()
    made = lib.Tokenizer(lib.models.BPE())
    made.pre_tokenizer = lib.pre_tokenizers.Sequence(
        [lib.pre_tokenizers.Digits(True), lib.pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    trainer = lib.trainers.BpeTrainer(vocab_size=1000, special_tokens=["</s>", "<pad>"], show_progress=False)
    made.train_from_iterator(texts, trainer)
    return made


def _bytes_trainer(lib: Any, specials: list[Any]) -> Any:
    return lib.trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=specials,
        initial_alphabet=lib.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )


def _llama2(texts: list[str], *, by_normalizer: bool = False) -> Any:
    """Pieces and merges with a mark for spaces, bytes where a character is no piece, no cutting at all."""
    lib = _library()
    made = lib.Tokenizer(lib.models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.pre_tokenizer = lib.pre_tokenizers.Metaspace()
    specials = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = lib.trainers.BpeTrainer(vocab_size=1500, limit_alphabet=80, special_tokens=specials, show_progress=False)
    made.train_from_iterator(texts, trainer)
    if by_normalizer:
        made.pre_tokenizer = lib.pre_tokenizers.Split(" ", "merged_with_previous")  # as Gemma: finds none
        made.normalizer = lib.normalizers.Sequence(
            [lib.normalizers.Prepend("\u2581"), lib.normalizers.Replace(" ", "\u2581")]
        )
    else:
        made.pre_tokenizer = lib.pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    made.post_processor = lib.processors.TemplateProcessing(single="<s> $A", pair=None, special_tokens=[("<s>", 1)])
    return made


def _unknown_bpe(texts: list[str]) -> Any:
    """Words and characters, runs of unknown ones as one token."""
    lib = _library()
    made = lib.Tokenizer(lib.models.BPE(unk_token="<unk>", fuse_unk=True))
    made.normalizer = lib.normalizers.Sequence(
        [lib.normalizers.NFKC(), lib.normalizers.Strip(), lib.normalizers.Lowercase()]
    )
    made.pre_tokenizer = lib.pre_tokenizers.Sequence(
        [lib.pre_tokenizers.Whitespace(), lib.pre_tokenizers.Digits(False), lib.pre_tokenizers.Punctuation()]
    )
    trainer = lib.trainers.BpeTrainer(
        vocab_size=800, limit_alphabet=30, special_tokens=["<unk>", "<pad>"], show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    return made


def _unigram(texts: list[str]) -> Any:
    """As XLM-R: sentencepiece's map, pieces that begin with a mark for the space."""
    lib = _library()
    made = lib.Tokenizer(lib.models.Unigram())
    made.normalizer = lib.normalizers.Sequence(
        [lib.normalizers.Precompiled(charsmap()), lib.normalizers.Replace(lib.Regex(" {2,}"), " ")]
    )
    made.pre_tokenizer = lib.pre_tokenizers.Sequence(
        [lib.pre_tokenizers.WhitespaceSplit(), lib.pre_tokenizers.Metaspace()]
    )
    made.train_from_iterator(texts[:500], _unigram_trainer(lib, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]))
    made.post_processor = lib.processors.TemplateProcessing(
        single="<s> $A </s>", pair=None, special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return made


def _albert(texts: list[str]) -> Any:
    lib = _library()
    made = lib.Tokenizer(lib.models.Unigram())
    made.normalizer = lib.normalizers.Sequence(
        [
            lib.normalizers.Replace("``", '"'),
            lib.normalizers.Replace("''", '"'),
            lib.normalizers.NFKD(),
            lib.normalizers.StripAccents(),
            lib.normalizers.Lowercase(),
            lib.normalizers.Precompiled(charsmap()),
        ]
    )
    made.pre_tokenizer = lib.pre_tokenizers.Metaspace()
    made.train_from_iterator(texts[:500], _unigram_trainer(lib, ["<pad>", "<unk>", "[CLS]", "[SEP]"]))
    made.pre_tokenizer = lib.pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    made.post_processor = lib.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=None, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made


def _unigram_with_bytes(texts: list[str]) -> Any:
    lib = _library()
    trained = _unigram(texts)
    vocabulary = [tuple(row) for row in json.loads(trained.to_str())["model"]["vocab"]]
    vocabulary += [(f"<0x{byte:02X}>", -20.0) for byte in range(256)]
    made = lib.Tokenizer(lib.models.Unigram(vocabulary, 3, True))
    made.pre_tokenizer = lib.pre_tokenizers.Metaspace(prepend_scheme="never")
    made.add_special_tokens(["<s>", "<pad>", "</s>"])
    return made


def _unigram_trainer(lib: Any, specials: list[str]) -> Any:
    return lib.trainers.UnigramTrainer(
        vocab_size=1000, special_tokens=specials, unk_token="<unk>", show_progress=False, n_sub_iterations=1
    )


@cache
def charsmap() -> bytes:
    """A map as sentencepiece models have it: compatibility forms, composed accents, what vanishes, spaces."""
    compatible = [chr(point) for point in (*range(0xA0, 0x250), *range(0xFB00, 0xFB07), *range(0xFF00, 0xFF60))]
    table = {old: new for old in compatible if (new := unicodedata.normalize("NFKC", old)) != old}
    composed = {f"{letter}{mark}" for letter in "aeiouAEO" for mark in "\u0300\u0301\u0308"}
    table |= {old: unicodedata.normalize("NFKC", old) for old in composed}
    table |= {"\t": " ", "\n": " ", "\r": " ", "\r\n": " ", "\u3000": " ", "\u200b": " ", "\u00ad": "", "\u0007": ""}
    return _double_array({old.encode(): new.encode() for old, new in table.items()})


def _double_array(table: dict[bytes, bytes]) -> bytes:
    """The children of every node have 256 places of their own; a unit holds the distance to them above bit 10, 256 if
    a value is at their beginning, and its own label."""
    nodes = sorted({key[:end] for key in table for end in range(len(key) + 1)})
    block = {node: 256 * number for number, node in enumerate(nodes, 1)}
    units = [0] * (256 * (len(nodes) + 1))
    texts, blob = {}, b""
    for key, new in table.items():
        texts[key] = len(blob)
        blob += new + b"\0"
    for node in nodes:
        place = block[node[:-1]] ^ node[-1] if node else 0
        units[place] = (place ^ block[node]) << 10 | (256 if node in table else 0) | (node[-1] if node else 0)
        if node in table:
            units[block[node]] = texts[node]
    array = b"".join(unit.to_bytes(4, "little") for unit in units)
    return len(array).to_bytes(4, "little") + array + blob


TRAINERS = {
    "uncased wordpiece": _word_piece(lower=True),
    "cased wordpiece": _word_piece(lower=False),
    "byte-level bpe": _byte_level,
    "bpe of llama 3": _llama3,
    "bpe of digits": _digits,
    "bpe of llama 2": _llama2,
    "bpe of llama 2 with a normalizer": lambda texts: _llama2(texts, by_normalizer=True),
    "bpe with unknown characters": _unknown_bpe,
    "unigram": _unigram,
    "unigram of albert": _albert,
    "unigram with bytes": _unigram_with_bytes,
}
