"""The normalization map of a sentencepiece model: a double array of keys, and what takes their place."""

from __future__ import annotations

import binascii
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_LABELS = np.arange(1, 256, dtype=np.uint32)
_LABEL_BITS, _LEAF, _VALUE = 0x800000FF, 0x100, 0x7FFFFFFF
_LONGEST = 5
"""Bytes: longer keys cannot match, because only clusters of fewer than 6 bytes are looked up as a whole."""


def pairs_of(encoded: str) -> tuple[str, ...]:
    """Old, new, old, new, ...: the keys that can match, none of which begins with another one.

    encoded  base64: the size of the array in bytes, the array (both little endian), texts that end in a zero byte
    raises   ValueError for anything else
    """
    try:
        data = binascii.a2b_base64(encoded, strict_mode=True)
        size = int.from_bytes(data[:4], "little")
        units = np.frombuffer(data[4 : 4 + size], "<u4")
        texts = data[4 + size :]
        found = sorted(_keys(units, _inner(int(units[0])), b""))
        return tuple(part for key, value in found for part in (key.decode(), _text(texts, value)))
    except (binascii.Error, ValueError, IndexError) as error:
        raise ValueError("not a map of a sentencepiece model") from error


def _inner(unit: int) -> int:
    """The distance from a unit to its children."""
    return unit >> 10 << ((unit & 0x200) >> 6)


def _keys(units: NDArray[np.uint32], base: int, prefix: bytes) -> Iterator[tuple[bytes, int]]:
    """Every key below a unit, up to the first one on each way, with the place of its text."""
    places = base ^ _LABELS
    places, labels = places[places < len(units)], _LABELS[places < len(units)]
    for label in labels[(units[places] & _LABEL_BITS) == labels].tolist():
        unit = int(units[base ^ label])
        below, key = base ^ label ^ _inner(unit), prefix + bytes([label])
        if unit & _LEAF:
            yield key, int(units[below]) & _VALUE
        elif len(key) < _LONGEST:
            yield from _keys(units, below, key)


def _text(texts: bytes, place: int) -> str:
    return texts[place : texts.index(b"\0", place)].decode()
