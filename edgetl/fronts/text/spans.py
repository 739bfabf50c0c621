"""Where in a text each token comes from, for reports that mark words. Nothing that is computed depends on it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice

from edgetl.fronts.text.description import Bytes, Metaspace, WordPiece
from edgetl.fronts.text.encode import Tokenizer

Span = tuple[int, int]


def spans(text: str, tokenizer: Tokenizer, longest: int | None = None) -> list[Span]:
    """Start and end of each id of `tokenizer.encode(text, longest)`, in characters of the text as it is written.

    Ids before and after the text have an empty span. Approximate where normalization moves characters over each other
    and beside unknown characters: a span may then be some characters too long or too short.
    """
    most = None if longest is None else max(longest - tokenizer.around, 0)
    found = list(islice(_of_text(text, tokenizer), most))
    before, after = len(tokenizer.description.before), len(tokenizer.description.after)
    return [*[(0, 0)] * before, *found, *[(len(text), len(text))] * after]


def _of_text(text: str, tokenizer: Tokenizer) -> Iterator[Span]:
    place = 0
    for raw, special, first in tokenizer.raw_sections(text):
        if special is not None:
            yield place, place + len(raw)
        else:
            start_of, end_of = _origins(raw, tokenizer.normalize)
            for start, end in _of_normalized(tokenizer.normalize(raw), first, tokenizer):
                yield place + start_of(start), place + max(end_of(end), start_of(start))
        place += len(raw)


def _origins(raw: str, normalize: Callable[[str], str]) -> tuple[Callable[[int], int], Callable[[int], int]]:
    """Where in `raw` the normalized character of a place begins, and where the one before it ends.

    Asked of the normalized lengths of the beginnings of `raw`, which grow.
    """
    length = cache(lambda end: len(normalize(raw[:end])))
    ends = range(len(raw) + 1)
    return (
        lambda place: max(bisect_right(ends, place, key=length) - 1, 0),
        lambda place: min(bisect_left(ends, place, key=length), len(raw)),
    )


def _of_normalized(normalized: str, first: bool, tokenizer: Tokenizer) -> Iterator[Span]:
    place = 0
    for part, special, begins in tokenizer.parts(normalized):
        if special is not None:
            yield place, place + len(part)
        else:
            cursor = 0
            for word in tokenizer.cut(part, first and begins):
                shown = _as_written(word, tokenizer)
                start, added = _locate(shown, part, cursor)
                for begin, end in _in_word(word, shown, tokenizer):
                    yield place + start + max(begin - added, 0), place + start + max(end - added, 0)
                cursor = start + len(shown) - added
        place += len(part)


def _as_written(word: str, tokenizer: Tokenizer) -> str:
    """A word without what the steps of cutting made of its characters."""
    for step in reversed(tokenizer.description.cut):
        if isinstance(step, Bytes):
            word = bytes(map(step.alphabet.index, word)).decode(errors="replace")
        elif isinstance(step, Metaspace):
            word = word.replace(step.mark, " ")
    return word


def _locate(shown: str, part: str, cursor: int) -> tuple[int, int]:
    """Where the word begins in its section, and how many spaces before it (0 or 1) were added to it."""
    whole = part.find(shown, cursor)
    rest = part.find(shown[1:], cursor) if shown.startswith(" ") else -1
    if whole >= 0 and (rest < 0 or whole <= rest):
        return whole, 0
    return (rest, 1) if rest >= 0 else (cursor, 0)


def _in_word(word: str, shown: str, tokenizer: Tokenizer) -> Iterator[Span]:
    """Start and end of each id of a word, in characters of `shown`."""
    offsets = [0]  # of each character of `shown` in those of the word: one or, after `bytes`, up to four
    for character in shown:
        offsets.append(offsets[-1] + (1 if len(shown) == len(word) else len(character.encode())))
    for begin, end in _in_pieces(word, tokenizer):
        yield bisect_right(offsets, begin) - 1, min(bisect_left(offsets, end), len(shown))


def _in_pieces(word: str, tokenizer: Tokenizer) -> Iterator[Span]:
    """Start and end of each id of a word, in its own characters."""
    ids = tokenizer.ids_of(word)
    texts = [_text(piece, number, tokenizer) for number, piece in enumerate(ids)]
    place = 0
    bytes_left = 0  # of a character whose bytes are ids of their own
    for number, text in enumerate(texts):
        if word.startswith(text, place) and text:
            end = place + len(text)
        elif text.startswith("<0x") and place < len(word):
            bytes_left = (bytes_left or len(word[place].encode())) - 1
            yield place, place + 1
            place += not bytes_left
            continue
        else:
            following = texts[number + 1] if number + 1 < len(texts) else ""
            found = word.find(following, place + 1) if following else -1
            end = found if found >= 0 else len(word)
        yield place, end
        place = end


def _text(piece: int, number: int, tokenizer: Tokenizer) -> str:
    """What a piece stands for inside of a word; "" if it is unknown."""
    model = tokenizer.description.model
    if piece == model.unknown:
        return ""
    text = model.pieces[piece]
    return text.removeprefix(model.prefix) if isinstance(model, WordPiece) and number else text
