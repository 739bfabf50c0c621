"""What lines and pages say of a text: its beginning, how many tokens it has, how many of them the network knows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetl.files.text import escaped
from edgetl.fronts.text.load import tokenizer_of

if TYPE_CHECKING:
    from edgetl.types import TextPreprocessing

_QUOTED = 60
_TURNS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def quote(text: str, most: int = _QUOTED) -> str:
    """Its beginning on one line; marks that would turn the direction of what follows are escaped."""
    line = " ".join(text.split())
    begun = line if len(line) <= most else f"{line[: most - 1]}…"
    return _TURNS.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped(begun))


def is_cut(text: str, preprocessing: TextPreprocessing) -> bool:
    """Whether the network does not see the end of it. Encodes no more than is needed to know."""
    longest = preprocessing.lengths[-1]
    return len(tokenizer_of(preprocessing).encode(text, longest + 1)) > longest


@dataclass(frozen=True)
class Counted:
    """tokens  of the whole text;  unknown  of them, that the tokenizer has no piece for;  cut  whether the network does
    not see the end"""

    tokens: int
    unknown: int
    cut: bool


def count_tokens(text: str, preprocessing: TextPreprocessing) -> Counted:
    tokenizer = tokenizer_of(preprocessing)
    ids = tokenizer.encode(text)
    unknown = tokenizer.description.model.unknown
    missing = 0 if unknown is None else ids.count(unknown)
    return Counted(len(ids), missing, len(ids) > preprocessing.lengths[-1])
