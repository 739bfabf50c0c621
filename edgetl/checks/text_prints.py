"""What the checks know of each text: a digest without case and punctuation, its pieces, its script and lengths."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.fronts.text.read import read_example
from edgetl.types import Progress, Sample

PROPERTIES = ("characters", "words", "letters", "digits", "capitals", "signs", "other_letters")
"""Of each text: its length in characters and words, and in percent of its characters letters, digits, capital letters,
everything else but spaces, and letters outside of A to Z."""

PIECE = 5
"""Characters of a piece."""
_COMPARED = 20_000  # characters of a text whose pieces are compared
_LETTERS = 10_000  # characters that tell the script
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, odd


@dataclass(frozen=True, eq=False)
class TextPrints:
    """Of N texts, in the order of their samples.

    texts     as they stand in the files
    sha256    of each, hex
    contents  uint8 (N, 32): sha256 of the plain form
    pieces    of each text, sorted and different numbers uint64 of 5 characters in a row of its plain form
    scripts   that of most letters, as Unicode's names begin: LATIN, CYRILLIC, CJK; "" for a text without a letter
    values    float32 (N, P): `PROPERTIES`
    """

    texts: tuple[str, ...]
    sha256: tuple[str, ...]
    contents: NDArray[np.uint8]
    pieces: tuple[NDArray[np.uint64], ...]
    scripts: tuple[str, ...]
    values: NDArray[np.float32]


def text_prints(samples: Sequence[Sample], progress: Progress) -> TextPrints:
    """Read each text once. Raises UnreadableText."""
    texts, contents, pieces = [], [], []
    with progress.task("reading texts", total=len(samples)) as advance:
        for sample in samples:
            text = read_example(Path(sample.path))
            plain = plain_form(text)
            texts.append(text)
            contents.append(np.frombuffer(hashlib.sha256(plain.encode()).digest(), np.uint8))
            pieces.append(pieces_of(plain))
            advance(1, Path(sample.path).name)
    return TextPrints(
        tuple(texts),
        tuple(sample.sha256 for sample in samples),
        np.array(contents).reshape(len(texts), 32),
        tuple(pieces),
        tuple(map(script_of, texts)),
        np.array([_properties(text) for text in texts], np.float32).reshape(len(texts), len(PROPERTIES)),
    )


def plain_form(text: str) -> str:
    """The text without case, width of letters and punctuation, with single spaces; only with the latter if nothing else
    is left of it."""
    spaced = unicodedata.normalize("NFKC", text).casefold().translate(_Spaced())
    return " ".join(spaced.split()) or " ".join(text.split())


def pieces_of(plain: str) -> NDArray[np.uint64]:
    """Numbers of all 5 characters in a row, sorted, each once; of the whole text if it is shorter."""
    codes = np.frombuffer(plain[:_COMPARED].encode("utf-32-le"), np.uint32).astype(np.uint64)
    codes = np.pad(codes, (0, max(0, PIECE - len(codes))))
    rows = np.lib.stride_tricks.sliding_window_view(codes, PIECE)
    number = np.zeros(len(rows), np.uint64)
    for column in rows.T:
        number = mixed(number + column)
    return np.unique(number)


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A one-to-one function of 64 bits whose results look random (Steele et al. 2014, SplitMix64)."""
    values = values + _FACTOR
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def script_of(text: str) -> str:
    """The first word in Unicode's names of most of its letters; "" if it has none."""
    scripts: Counter[str] = Counter()
    for letter, count in Counter(text[:_LETTERS]).items():
        scripts[_script(letter)] += count
    del scripts[""]
    return max(scripts, key=lambda name: (scripts[name], name)) if scripts else ""


class _Spaced:
    """For `str.translate`: a space for each character of punctuation, space or control."""

    def __getitem__(self, code: int) -> int:
        return _spaced(code)


@lru_cache(maxsize=8192)
def _spaced(code: int) -> int:
    return 32 if unicodedata.category(chr(code))[0] in "PZC" else code


@lru_cache(maxsize=8192)
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").split(" ")[0] if letter.isalpha() else ""


def _properties(text: str) -> tuple[float, ...]:
    letters = digits = capitals = signs = other = 0
    for character, count in Counter(text).items():
        is_letter = character.isalpha()
        letters += count * is_letter
        digits += count * character.isdigit()
        capitals += count * character.isupper()
        signs += count * (not character.isalnum() and not character.isspace())
        other += count * (is_letter and not character.isascii())
    shares = (100 * count / max(len(text), 1) for count in (letters, digits, capitals, signs, other))
    return len(text), len(text.split()), *shares
