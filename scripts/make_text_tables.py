#!/usr/bin/env python3
"""Writes the Unicode tables of the text front: asks the reference (the package `tokenizers`) about every code point.

    make_text_tables.py     -> edgetl/fronts/text/unicode.json, runtime/src/text_tables.h

What each table is for: docs/decisions/0027-tokenizers.md. No rule of Unicode is written here, so that both halves
follow the version of Unicode that the reference has, which is not Python's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from unicodedata import combining

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

ROOT = Path(__file__).resolve().parents[1]
POINTS = [chr(point) for point in chain(range(0xD800), range(0xE000, 0x110000))]
HANGUL = range(0xAC00, 0xD7A4)
CLASS_1, CLASS_240 = "\u0334", "\u0345"  # the lowest and the highest canonical combining class

Sets = dict[str, list[int]]
Maps = dict[str, list[list[int]]]


def main() -> None:
    nfd, nfkd = normalizers.NFD().normalize_str, normalizers.NFKD().normalize_str
    decomposed = {c: nfd(c) for c in POINTS if nfd(c) != c and ord(c) not in HANGUL}
    sets = {name: ranges(c for c in POINTS if belongs(c)) for name, belongs in asked().items()}
    sets |= {name: ranges(found(expression)) for name, expression in EXPRESSIONS.items()}
    assert sets["white"] == ranges(found(r"\s")), "the reference has two kinds of white space"
    maps: Maps = {
        "lower": rows(changed(normalizers.Lowercase().normalize_str)),
        "nfd": rows(decomposed),
        "nfkd": rows({c: nfkd(c) for c in POINTS if nfkd(c) != nfd(c)}),
        "composed": sorted(compositions(decomposed)),
        "class": combining_classes(),
    }
    write_json(ROOT / "edgetl/fronts/text/unicode.json", sets, maps)
    write_header(ROOT / "runtime/src/text_tables.h", sets, maps)


EXPRESSIONS = {"letter": r"\p{L}", "number": r"\p{N}"}


def asked() -> dict[str, Callable[[str], bool]]:
    """What tells whether a character belongs to a set."""
    clean = bert(clean_text=True)
    cjk = bert(handle_chinese_chars=True)
    accents = bert(strip_accents=True)
    marks = normalizers.StripAccents().normalize_str
    clusters = normalizers.Precompiled(charsmap_of_a_and_acute()).normalize_str
    words, digits = pre_tokenizers.Whitespace(), pre_tokenizers.Digits()
    pieces = pre_tokenizers.BertPreTokenizer()
    return {
        "control": lambda c: clean(f"a{c}a") == "aa",
        "blank": lambda c: c != " " and clean(f"a{c}a") == "a a",
        "cjk": lambda c: cjk(f"a{c}a") == f"a {c} a",
        "punctuation": lambda c: len(pieces.pre_tokenize_str(f"a{c}a")) == 3,
        "white": lambda c: len(pieces.pre_tokenize_str(f"a{c}a")) == 2,
        "nonspacing": lambda c: accents(f"a{c}a") == "aa",
        "mark": lambda c: marks(f"a{c}a") == "aa",
        "word": lambda c: len(words.pre_tokenize_str(f"a{c}a")) == 1,
        "numeric": lambda c: len(digits.pre_tokenize_str(f"1{c}1")) == 1,
        # a cluster of fewer than 6 bytes that begins with a becomes b as a whole, and loses what else is in it
        "joined": lambda c: clusters(f"a{c}") == "b",
        "prepended": lambda c: clusters(f"{c}a\u0301") == f"{c}bb",
        "alone": lambda c: clusters(f"{c}\u0301\u0302").endswith("b") and c != "a",
    }


def bert(
    clean_text: bool = False, handle_chinese_chars: bool = False, strip_accents: bool = False
) -> Callable[[str], str]:
    answer: Callable[[str], str] = normalizers.BertNormalizer(
        clean_text=clean_text, handle_chinese_chars=handle_chinese_chars, strip_accents=strip_accents, lowercase=False
    ).normalize_str
    return answer


def charsmap_of_a_and_acute() -> bytes:
    """A precompiled map of `a` and U+0301 (CC 81) to `b`, as a double array: label in the low byte, 256 if a value
    follows, the distance to the next unit above bit 10."""
    units = [0] * 4096
    units[0] = 256 << 10
    units[256 ^ 0x61] = 512 << 10 | 256 | 0x61
    units[256 ^ 0xCC] = 1024 << 10 | 0xCC
    units[256 ^ 0xCC ^ 1024 ^ 0x81] = 2048 << 10 | 256 | 0x81
    array = b"".join(unit.to_bytes(4, "little") for unit in units)
    return len(array).to_bytes(4, "little") + array + b"b\0"


def found(expression: str) -> Iterator[str]:
    """The characters that the reference's regular expressions match."""
    cut = pre_tokenizers.Split(Regex(expression), "removed")
    for first in range(0, len(POINTS), 4096):
        text = "".join(POINTS[first : first + 4096])
        end = 0
        for _, (start, stop) in cut.pre_tokenize_str(text):
            yield from text[end:start]
            end = stop
        yield from text[end:]


def changed(answer: Callable[[str], str]) -> dict[str, str]:
    return {c: answer(c) for c in POINTS if answer(c) != c}


def rows(mapping: dict[str, str]) -> list[list[int]]:
    return [[ord(old), *map(ord, new)] for old, new in mapping.items()]


def compositions(decomposed: dict[str, str]) -> Iterator[list[int]]:
    nfc = normalizers.NFC().normalize_str
    for result, parts in decomposed.items():
        first = nfc(parts[:-1])
        if len(parts) > 1 and len(first) == 1 and nfc(first + parts[-1]) == result:
            yield [ord(first), ord(parts[-1]), ord(result)]


def combining_classes() -> list[list[int]]:
    """Code point and class. Two marks change places if the second one has the lower class; so each is compared with
    one mark of each class, which Python's tables name: classes do not change, but the reference knows fewer marks."""
    nfd = normalizers.NFD().normalize_str

    def swaps(first: str, second: str) -> bool:
        return first != second and bool(nfd(f"a{first}{second}") == f"a{second}{first}")

    moving = [c for c in POINTS if nfd(c) == c and (swaps(c, CLASS_1) or swaps(CLASS_240, c) or c == CLASS_240)]
    known = {combining(c): c for c in reversed(moving)}
    return [[ord(c), next(value for value in sorted(known) if not swaps(c, known[value]))] for c in moving]


def ranges(members: Iterable[str]) -> list[int]:
    """First, last, first, last, ..."""
    result: list[int] = []
    for point in map(ord, members):
        if result and result[-1] == point - 1:
            result[-1] = point
        else:
            result += [point, point]
    return result


def write_json(path: Path, sets: Sets, maps: Maps) -> None:
    content = {"reference": f"tokenizers {tokenizers.__version__}", "sets": sets, "maps": maps}
    text = json.dumps(content, separators=(",", ":"))
    path.write_text(text.replace('],"', '],\n"').replace('{"', '{\n"') + "\n", encoding="utf-8")


def write_header(path: Path, sets: Sets, maps: Maps) -> None:
    lines = [
        "// Generated by scripts/make_text_tables.py; what each table is for: docs/decisions/0027-tokenizers.md",
        "// clang-format off",
        "#pragma once",
        "",
        "#include <cstdint>",
        "",
        "namespace edgetl::text_tables {",
        "",
        "// sets: first and last code point, in turn",
        *(array("uint32_t", name, values) for name, values in sets.items()),
        "",
        "// maps: number i of `old`, ascending, becomes `new` from begin[i] to begin[i + 1]",
        *chain.from_iterable(pooled(name, maps[name]) for name in ("lower", "nfd", "nfkd")),
        "",
        "// first, second and result, in turn, ascending",
        array("uint32_t", "composed", list(chain.from_iterable(maps["composed"]))),
        "// canonical combining classes other than 0: first and last code point and class, in turn",
        array("uint32_t", "combining", list(chain.from_iterable(class_runs(maps["class"])))),
        "",
        "}  // namespace edgetl::text_tables",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def class_runs(classes: list[list[int]]) -> list[list[int]]:
    runs: list[list[int]] = []
    for point, value in classes:
        if runs and runs[-1][1:] == [point - 1, value]:
            runs[-1][1] = point
        else:
            runs.append([point, point, value])
    return runs


def pooled(name: str, mapping: list[list[int]]) -> Iterator[str]:
    begin = [0]
    for row in mapping:
        begin.append(begin[-1] + len(row) - 1)
    yield array("uint32_t", f"{name}_old", [row[0] for row in mapping])
    yield array("uint16_t", f"{name}_begin", begin)
    yield array("uint32_t", f"{name}_new", list(chain.from_iterable(row[1:] for row in mapping)))


def array(kind: str, name: str, values: list[int]) -> str:
    lines, line = [], "   "
    for value in values:
        if len(line) + len(str(value)) > 115:
            lines.append(line)
            line = "   "
        line += f" {value},"
    return "\n".join([f"inline constexpr {kind} {name}[] = {{", *lines, line, "};"])


if __name__ == "__main__":
    main()
