"""A text -> the ids of its tokens, in the order of work of decision 27."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from edgetl.fronts.text.cut import cutting
from edgetl.fronts.text.description import Description, Special
from edgetl.fronts.text.models import encoding
from edgetl.fronts.text.normalize import normalizing
from edgetl.fronts.text.unicode import members

_REMEMBERED = 100_000
_REMEMBERED_CHARACTERS = 64

Section = tuple[str, int | None, bool]
"""Text, the id if it is a special token, and whether the whole text begins with it."""


class Tokenizer:
    """A description that is ready to encode; it remembers the ids of words that it has met."""

    def __init__(self, description: Description) -> None:
        self.description = description
        self._raw = _finding(special for special in description.special if not special.normalized)
        self._later = _finding(special for special in description.special if special.normalized)
        self._normalize = normalizing(description.normalize)
        self._words = cutting(description.cut)
        self._encode = encoding(description.model)
        self._known: dict[str, list[int]] = {}

    @property
    def around(self) -> int:
        """How many ids stand before and after those of a text."""
        return len(self.description.before) + len(self.description.after)

    def encode(self, text: str, longest: int | None = None) -> list[int]:
        """The ids of a text, with those before and after; at most `longest`, of which those stay."""
        ids = [piece for word, special in self.words(text) for piece in self.ids_of(word, special)]
        if longest is not None:
            del ids[max(longest - self.around, 0) :]
        return [*self.description.before, *ids, *self.description.after]

    def ids_of(self, word: str, special: int | None) -> list[int]:
        """Those of a word, or of a special token."""
        if special is not None:
            return [special]
        known = self._known.get(word)
        if known is not None:
            return known
        found = self._encode(word)
        if len(word) <= _REMEMBERED_CHARACTERS:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[word] = found
        return found

    def words(self, text: str) -> Iterator[tuple[str, int | None]]:
        """Words, normalized, and special tokens with their id, in order."""
        for section, special, first in self.sections(text):
            if special is not None:
                yield section, special
            else:
                for word in self._words(section, first):
                    yield word, None

    def sections(self, text: str) -> Iterator[Section]:
        """Normalized sections and special tokens, in order; none of them empty."""
        for raw, special, first in self._raw(text):
            if special is not None:
                yield raw, special, first
            else:
                for part, later, begins in self._later(self._normalize(raw)):
                    yield part, later, first and begins


def _finding(specials: Iterable[Special]) -> Callable[[str], list[Section]]:
    """Cuts a text at special tokens: the leftmost one, of those the longest."""
    known = {special.text: special for special in specials}
    if not known:
        return lambda text: [(text, None, True)] if text else []
    pattern = re.compile("|".join(map(re.escape, sorted(known, key=len, reverse=True))))
    left, right = re.compile(f"[{members('white')}]*\\Z"), re.compile(f"[{members('white')}]*")

    def cut(text: str) -> list[Section]:
        sections: list[Section] = []
        done = 0
        for match in pattern.finditer(text):
            special = known[match[0]]
            start, end = match.span()
            if special.lstrip:
                start = max(_start_of_white(left, text, start), done)
            if special.rstrip:
                end = _end_of_white(right, text, end)
            if done < start:
                sections.append((text[done:start], None, done == 0))
            sections.append((text[start:end], special.id, start == 0))
            done = end
        if done < len(text):
            sections.append((text[done:], None, done == 0))
        return sections

    return cut


def _start_of_white(pattern: re.Pattern[str], text: str, end: int) -> int:
    found = pattern.search(text[:end])
    return found.start() if found else end


def _end_of_white(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start
