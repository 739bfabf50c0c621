"""The words that decided: each is left out once, and the network reads the rest.

This is occlusion on words (M. Zeiler and R. Fergus, Visualizing and understanding convolutional networks, 2014): it
asks the deployed network itself, and needs no gradients.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import DataError

MOST_WORDS = 24
"""That are left out of one text; of a longer one, several neighbors at a time."""
_LETTERS = "LMN"
_JOINING = "'’_-"


@dataclass(frozen=True)
class Word:
    """A piece of a text. change  of the predicted class's log-odds by this word: positive speaks for the class. None of
    what is no word, and of a text that cannot be read without it"""

    text: str
    change: float | None = None

    @property
    def strength(self) -> float:
        return abs(self.change or 0.0)


def pieces(text: str, most: int = MOST_WORDS) -> list[tuple[str, bool]]:
    """All of the text in order, cut into words (True) and what lies between. An ideograph is a word. Of more than
    `most` words, equal runs of neighbors are one."""
    found = list(_pieces(text))
    count = sum(is_word for _, is_word in found)
    run = -(-count // most)
    return found if run <= 1 else list(_runs(found, run))


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    begun, was = "", False
    for place, letter in enumerate(text):
        ideograph = unicodedata.category(letter) == "Lo" and unicodedata.east_asian_width(letter) in "WF"
        is_word = _is_letter(letter) or (was and letter in _JOINING and _is_letter(text[place + 1 : place + 2]))
        if begun and (is_word != was or ideograph):
            yield begun, was
            begun = ""
        begun, was = begun + letter, is_word
        if ideograph:
            yield begun, True
            begun, was = "", False
    if begun:
        yield begun, was


def _is_letter(letter: str) -> bool:
    return bool(letter) and unicodedata.category(letter)[0] in _LETTERS


def _runs(found: list[tuple[str, bool]], length: int) -> Iterator[tuple[str, bool]]:
    """`length` words, with what lies between them, as one."""
    begun, words, after = "", 0, ""
    for text, is_word in found:
        if not is_word:
            after = text
            continue
        if words == length:
            yield begun, True
            begun, words = "", 0
            if after:
                yield after, False
        elif after and not words:
            yield after, False
        elif after:
            begun += after
        begun, words, after = begun + text, words + 1, ""
    if begun:
        yield begun, True
    if after:
        yield after, False


def decisive(text: str, logits_of: Callable[[str], NDArray[np.float64]]) -> tuple[Word, ...]:
    """The text as words with their share in the decision.

    logits_of  (classes,) of a text. Raises DataError for one that cannot be read
    """
    whole = logits_of(text)
    answer = int(whole.argmax())
    found, place = [], 0
    for piece, is_word in pieces(text):
        rest = text[:place] + text[place + len(piece) :]
        place += len(piece)
        found.append(Word(piece, _change(whole, rest, answer, logits_of) if is_word else None))
    return tuple(found)


def _change(
    whole: NDArray[np.float64], rest: str, answer: int, logits_of: Callable[[str], NDArray[np.float64]]
) -> float | None:
    try:
        change = log_odds(whole, answer) - log_odds(logits_of(rest), answer)
    except DataError:
        return None
    return change if np.isfinite(change) else None


def log_odds(logits: NDArray[np.float64], answer: int) -> float:
    """log(p / (1 - p)) of the class `answer`, where p are the softmax of (classes,) logits."""
    others = np.delete(logits, answer)
    largest = others.max()
    return float(logits[answer] - largest - np.log(np.exp(others - largest).sum()))
