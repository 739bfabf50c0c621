"""A text -> the ids of its tokens, in the order of work of decision 27."""

from __future__ import annotations

import re
import sys
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
    """A description that is ready to encode; it remembers the ids of words that it has met.

    raw_sections  a text -> its special tokens and what lies between them
    normalize     such a section -> the same, normalized
    parts         a normalized section -> special tokens that are sought there, and what lies between them
    cut           such a part -> its words
    """

    def __init__(self, description: Description) -> None:
        self.description = description
        self.raw_sections = _finding(special for special in description.special if not special.normalized)
        self.normalize = normalizing(description.normalize)
        self.parts = _finding(special for special in description.special if special.normalized)
        self.cut = cutting(description.cut)
        self._encode = encoding(description.model)
        self._known: dict[str, list[int]] = {}

    @property
    def around(self) -> int:
        """How many ids stand before and after those of a text."""
        return len(self.description.before) + len(self.description.after)

    def encode(self, text: str, longest: int | None = None) -> list[int]:
        """The ids of a text, with those before and after; at most `longest`, of which those stay."""
        room = sys.maxsize if longest is None else max(longest - self.around, 0)
        return [*self.description.before, *self._first_ids(text, room), *self.description.after]

    def _first_ids(self, text: str, room: int) -> list[int]:
        ids: list[int] = []
        known = self._known
        for part, special, first in self._parts(text):
            if special is not None:
                ids.append(special)
                continue
            for word in self.cut(part, first):
                ids += known.get(word) or self.ids_of(word)
                if len(ids) >= room:
                    return ids[:room]
        return ids[:room]

    def _parts(self, text: str) -> Iterator[Section]:
        for raw, special, first in self.raw_sections(text):
            if special is not None:
                yield raw, special, first
            else:
                for part, later, begins in self.parts(self.normalize(raw)):
                    yield part, later, first and begins

    def ids_of(self, word: str) -> list[int]:
        """Those of a word that is cut already."""
        known = self._known.get(word)
        if known is not None:
            return known
        found = self._encode(word)
        if len(word) <= _REMEMBERED_CHARACTERS:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[word] = found
        return found


def _finding(specials: Iterable[Special]) -> Callable[[str], list[Section]]:
    """Cuts a text at special tokens: the leftmost one, of those the longest."""
    known = {special.text: special for special in specials}
    if not known:
        return lambda text: [(text, None, True)] if text else []
    first = "".join(map(re.escape, sorted({text[0] for text in known})))  # few places of a text begin with one of them
    longest_first = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    pattern = re.compile(f"(?=[{first}])(?:{longest_first})")
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
