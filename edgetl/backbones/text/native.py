"""What a network for texts needs to know of a run before it is built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LONGEST = 128
"""Tokens of a text, unless the recipe says otherwise: reviews and news fit, and time grows with the square."""
_SHORTEST = 16


@dataclass(frozen=True)
class TextSource:
    """How texts reach a network.

    folder   a cache in which the description of a tokenizer is written once, below its digest
    longest  tokens that are read of a text, as the recipe says; None for LONGEST
    texts    of the shots: the vocabulary of a network that starts from nothing
    """

    folder: Path
    longest: int | None = None
    texts: tuple[str, ...] = ()


def buckets(longest: int) -> tuple[int, ...]:
    """Lengths that texts are filled up to: powers of two from 16, and `longest`."""
    lengths = []
    length = _SHORTEST
    while length < longest:
        lengths.append(length)
        length *= 2
    return (*lengths, longest)
