"""Texts that are one text: the same, the same but for case, spaces and punctuation, or nearly the same.

Nearly the same are texts with at least 70 % of their pieces (5 characters in a row) in common. Candidates share a band
of their MinHash signatures (Broder 1997); the pieces of each pair are compared exactly. Among 7,792 sentences of sst2
none reach 70 % ("a small movie with a big heart" and "... impact" have 66 %). Among 2,400 texts of agnews six pairs do,
and each is one report twice. 600 of them with a word replaced, a typo every 50 characters, the last 15 % cut off or
tags around them all reach it (5th percentiles 81 to 88 %).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from edgetl.checks.copies.duplicates import Copy, equal_contents
from edgetl.checks.text_prints import TextPrints, mixed
from edgetl.types import Progress

NEAR = 0.7
"""Share of common pieces, among those that either text has, from which on two texts are nearly the same."""

_BANDS, _ROWS = 24, 4  # texts with 70 % in common share a band with a probability of 99.86 %
_CROWD = 50  # texts in one band from which on only neighbors are compared: a template


def find_text_copies(prints: TextPrints, progress: Progress) -> tuple[Copy, ...]:
    """Equal and similar texts, each pair with `first` < `second`, ordered by both."""
    exact, contents, _ = equal_contents(prints.sha256, prints.contents)
    pieces = [prints.pieces[index] for index in contents]
    found: list[Copy] = []
    with progress.task("comparing texts", total=len(pieces)) as advance:
        signatures = np.stack([_signature(each) for each in pieces])
        for one, other in sorted(set(_candidates(signatures))):
            common = _in_common(pieces[one], pieces[other])
            if common >= NEAR:
                first, second = sorted((contents[one], contents[other]))
                found.append(Copy(first, second, "near", common))
        advance(len(pieces))
    return tuple(sorted((*exact, *found), key=lambda copy: (copy.first, copy.second)))


def _signature(pieces: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(bands, rows): the smallest number of the pieces under each of 96 functions."""
    seeds = mixed(np.arange(_BANDS * _ROWS, dtype=np.uint64))
    smallest: NDArray[np.uint64] = mixed(pieces[None, :] ^ seeds[:, None]).min(axis=1)
    return smallest.reshape(_BANDS, _ROWS)


def _candidates(signatures: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Pairs that share a band, the smaller index first."""
    for band in range(_BANDS):
        groups: dict[bytes, list[int]] = {}
        for index, row in enumerate(signatures[:, band]):
            groups.setdefault(row.tobytes(), []).append(index)
        for members in groups.values():
            yield from combinations(members, 2) if len(members) <= _CROWD else _neighbors(members)


def _neighbors(members: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Each with the first and with the one before it: linked all the same, without the square of their number."""
    for before, index in pairwise(members):
        yield members[0], index
        if before != members[0]:
            yield before, index


def _in_common(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    """The share of pieces of both among those of either (Jaccard)."""
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both / (len(one) + len(other) - both)
