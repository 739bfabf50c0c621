"""The reference's tables of characters, and Unicode normalization by them (decision 27)."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

_S, _L, _V, _T = 0xAC00, 0x1100, 0x1161, 0x11A7
_V_COUNT, _T_COUNT, _S_COUNT = 21, 28, 11172
_L_COUNT = 19
_NEVER_COMPOSED = "\u02ff"
"""Up to here no character is composed with the one before it, or is another one in NFC."""


@cache
def _tables() -> Any:
    return json.loads(resources.files("edgetl.fronts.text").joinpath("unicode.json").read_text(encoding="utf-8"))


@cache
def members(name: str) -> str:
    """What stands between the brackets of a regular expression: the characters of a set."""
    bounds = _tables()["sets"][name]
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in zip(bounds[::2], bounds[1::2], strict=True))


class Mapping(dict[int, str | int]):
    """For `str.translate`: what a character becomes, worked out when it is first met."""

    def __init__(self, of: Callable[[int], str]) -> None:
        self._of = of

    def __missing__(self, point: int) -> str:
        self[point] = found = self._of(point)
        return found


def marking(name: str, marked: Callable[[str], str]) -> Mapping:
    """Every character of a set becomes `marked` of it."""
    bounds = _tables()["sets"][name]

    def of(point: int) -> str:
        after = bisect_right(bounds, point)
        inside = after % 2 == 1 or (after > 0 and bounds[after - 1] == point)
        return marked(chr(point)) if inside else chr(point)

    return Mapping(of)


@cache
def lowering() -> Mapping:
    return _by(_rows("lower"))


def normalized(text: str, form: str) -> str:
    """`nfd`, `nfc`, `nfkd` or `nfkc` of a text."""
    if text.isascii() or (form == "nfc" and max(text) <= _NEVER_COMPOSED):
        return text
    apart = _reordered(text.translate(_decomposing(form[:-1] + "d")))
    return _composed(apart) if form.endswith("c") else apart


def table_rows(name: str) -> list[list[int]]:
    """A map as it is stored."""
    rows: list[list[int]] = _tables()["maps"][name]
    return rows


def _rows(name: str) -> dict[int, str]:
    return {row[0]: "".join(map(chr, row[1:])) for row in table_rows(name)}


def _by(rows: dict[int, str]) -> Mapping:
    return Mapping(lambda point: rows.get(point) or chr(point))


@cache
def _decomposing(form: str) -> Mapping:
    rows = _rows("nfd") if form == "nfd" else _rows("nfd") | _rows("nfkd")
    return Mapping(lambda point: rows.get(point) or _syllable(point))


def _syllable(point: int) -> str:
    """The letters of a Hangul syllable; another character itself. Unicode 3.12."""
    index = point - _S
    if not 0 <= index < _S_COUNT:
        return chr(point)
    lead, vowel, tail = index // (_V_COUNT * _T_COUNT), index // _T_COUNT % _V_COUNT, index % _T_COUNT
    return chr(_L + lead) + chr(_V + vowel) + (chr(_T + tail) if tail else "")


@cache
def _classes() -> dict[str, int]:
    return {chr(point): value for point, value in table_rows("class")}


@cache
def _runs_of_marks() -> re.Pattern[str]:
    return re.compile(f"[{''.join(map(re.escape, _classes()))}]{{2,}}")


def _reordered(text: str) -> str:
    classes = _classes()
    return _runs_of_marks().sub(lambda run: "".join(sorted(run[0], key=classes.__getitem__)), text)


@cache
def _pairs() -> dict[tuple[str, str], str]:
    return {(chr(first), chr(second)): chr(result) for first, second, result in table_rows("composed")}


def _composed(text: str) -> str:
    classes = _classes()
    result: list[str] = []
    starter, last = -1, 0  # place of the last starter; class of what follows it so far
    for character in text:
        value = classes.get(character, 0)
        if starter >= 0 and (last == 0 or last < value) and (found := _pair(result[starter], character)):
            result[starter] = found
            continue
        if value == 0:
            starter = len(result)
        last = value
        result.append(character)
    return "".join(result)


def _pair(first: str, second: str) -> str | None:
    one, two = ord(first), ord(second)
    if 0 <= one - _L < _L_COUNT and 0 <= two - _V < _V_COUNT:
        return chr(_S + ((one - _L) * _V_COUNT + two - _V) * _T_COUNT)
    if 0 <= one - _S < _S_COUNT and (one - _S) % _T_COUNT == 0 and 0 < two - _T < _T_COUNT:
        return chr(one + two - _T)
    return _pairs().get((first, second))
