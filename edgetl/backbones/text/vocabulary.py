"""Tokenizers of networks that bring none in Hugging Face layout: of the shots' words, or of single characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgetl.errors import WeightsError
from edgetl.files.json_file import read_json_value
from edgetl.fronts.text.description import SCHEMA, Description
from edgetl.fronts.text.encode import Tokenizer

_PAD, _UNKNOWN = "[PAD]", "[UNK]"
_PREFIX = "##"
_MOST_WORDS = 8000
_MOST_CHARACTERS = 1000
_LONGEST_WORD = 100
_MOST_BYTES = 1_000_000


def words_of(texts: Iterable[str]) -> Description:
    """Lower case, cut at spaces and punctuation: the most frequent words are pieces, others are spelled."""
    counted: Counter[str] = Counter()
    splitting = Tokenizer(_words([_PAD, _UNKNOWN]))
    for text in texts:
        counted.update(splitting.cut(splitting.normalize(text), True))
    letters: Counter[str] = Counter()
    for word, count in counted.items():
        letters.update({letter: count * word.count(letter) for letter in set(word)})
    spelled = sorted(letter for letter, _ in _most(letters, _MOST_CHARACTERS))
    pieces = [_PAD, _UNKNOWN, *spelled, *(_PREFIX + letter for letter in spelled)]
    known = set(pieces)
    pieces += [word for word, _ in _most(counted, _MOST_WORDS) if word not in known]
    return _words(pieces)


def characters_of(path: Path, rows: int) -> Description:
    """Each character is a token by the table in `path`, a JSON object of characters and ids; others are left out.

    rows  of the table of embeddings; id 0 fills up
    """
    table = read_json_value(path, most_bytes=_MOST_BYTES, what="a table of characters")
    if not isinstance(table, dict) or sorted(table.values()) != list(range(1, rows)):
        raise WeightsError(f"{path}: expected an object of characters with the ids 1 to {rows - 1}")
    pieces = [_PAD, *(character for character, _ in sorted(table.items(), key=lambda item: item[1]))]
    model = {"kind": "bpe", "pieces": pieces, "unknown": None, "fuse_unknown": False, "byte_fallback": False}
    return _described({"normalize": [], "cut": [], "model": {**model, "whole_words": False, "merges": []}})


def _most(counted: Counter[str], count: int) -> list[tuple[str, int]]:
    """The most frequent ones; of equally frequent ones the first by spelling."""
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:count]


def _words(pieces: list[str]) -> Description:
    model = {"kind": "wordpiece", "pieces": pieces, "unknown": 1, "prefix": _PREFIX, "longest": _LONGEST_WORD}
    steps = {"normalize": [{"step": "clean"}, {"step": "lower"}], "cut": [{"step": "white"}, {"step": "punctuation"}]}
    return _described({**steps, "model": model})


def _described(content: dict[str, Any]) -> Description:
    return Description.model_validate({"schema": SCHEMA, "special": [], "before": [], "after": [], "pad": 0, **content})
