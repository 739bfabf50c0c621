"""Tables and files of texts: what is read, and the line that says why something is not."""

from __future__ import annotations

import csv
import json
import os
import random
from pathlib import Path

import pytest

from edgetl.errors import DataError
from edgetl.fronts.text.read import UnreadableText, read_example
from edgetl.fronts.text.tables import MAX_CELL_CHARACTERS, MAX_CHARACTERS, open_table


def table(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_row_is_named_by_the_line_in_which_it_begins(tmp_path: Path) -> None:
    path = table(tmp_path, "reviews.csv", 'label,text\ngood,"two\nlines, and ""quotes"""\n\nbad,short\n')
    assert list(open_table(path).numbers) == [2, 5]
    assert read_example(Path(f"{path}:2")) == 'two\nlines, and "quotes"'
    assert read_example(Path(f"{path}:5")) == "short"
    with pytest.raises(UnreadableText, match=r"reviews\.csv:3: .*no row of the table begins in this line"):
        read_example(Path(f"{path}:3"))


def test_three_kinds_of_tables_hold_the_same_rows(tmp_path: Path) -> None:
    texts = ["plain", 'with "quotes"', "naïve – 日本語 🙂"]
    csv = 'text,label\nplain,1\n"with ""quotes""",0\nnaïve – 日本語 🙂,1\n'
    tsv = "".join(
        f"{text}\t{label}\r\n" for text, label in zip(["text", *texts], ["label", "1", "0", "1"], strict=True)
    )
    jsonl = "".join(json.dumps({"label": at % 2, "text": text}) + "\n" for at, text in enumerate(texts))
    paths = [table(tmp_path, f"t.{kind}", content) for kind, content in (("csv", csv), ("tsv", tsv), ("jsonl", jsonl))]
    for path in paths:
        first = 1 if path.suffix == ".jsonl" else 2
        assert [read_example(Path(f"{path}:{first + at}")) for at in range(3)] == texts
    assert [open_table(paths[2]).text(line, "label") for line in (1, 2, 3)] == ["0", "1", "0"]


def test_a_column_is_found_by_its_name_or_by_the_place(tmp_path: Path) -> None:
    path = table(tmp_path, "a.csv", "id,Review,summary,label\n7,long one,short,x\n")
    assert read_example(Path(f"{path}:2")) == "long one"
    assert read_example(Path(f"{path}:2:summary")) == "short"
    with pytest.raises(UnreadableText, match="the table has no column `other`"):
        read_example(Path(f"{path}:2:other"))


def test_a_table_that_changes_is_read_again(tmp_path: Path) -> None:
    path = table(tmp_path, "a.csv", "text,label\nold,x\n")
    assert read_example(Path(f"{path}:2")) == "old"
    path.write_text("text,label\nnew,x\n")
    os.utime(path, ns=(1, 1))
    assert read_example(Path(f"{path}:2")) == "new"


MALFORMED: dict[str, tuple[str, str | bytes, str]] = {
    "an open quote": ("a.csv", 'text,label\nfine,1\n"never closed,1\nx,2\n', r"a\.csv, line 3: not valid CSV"),
    "text after a quote": ("a.csv", 'text,label\n"a"b,1\n', r"a\.csv, line 2: not valid CSV"),
    "too few cells": ("a.csv", "text,label\nonly\n", r"line 2: expected 2 cells, found 1; quote cells with commas"),
    "a tab too many": ("a.tsv", "text\tlabel\na\tb\tc\n", r"line 2: expected 2 cells, found 3; a tab separates"),
    "no header": ("a.csv", "", r"line 1: expected the names of the columns, found nothing"),
    "one name twice": ("a.csv", "text,text\na,b\n", r"line 1: the column `text` occurs twice; rename one"),
    "no JSON": ("a.jsonl", '{"text": "a"}\n{"text": \n', r"a\.jsonl, line 2: not valid JSON"),
    "a list in JSON": ("a.jsonl", '["a", 1]\n', r"line 1: expected one JSON object per line, found"),
    "a key twice": ("a.jsonl", '{"text": "a", "text": "b"}\n', r"line 1: not valid JSON: a key occurs twice"),
    "deep JSON": ("a.jsonl", '{"text": ' + "[" * 50_000 + "\n", r"line 1: not valid JSON"),
    "UTF-16": ("a.csv", "text,label\na,1\n".encode("utf-16"), r"a\.csv: it is UTF-16 text; save it as UTF-8"),
    "UTF-16 without a mark": ("a.csv", "text,label\na,1\n".encode("utf-16-le"), r"it looks like UTF-16 text; save it"),
    "Latin-1": (
        *("a.csv", "text,label\ncafé,1\n".encode("latin-1")),
        r"not UTF-8: byte 0xE9 in line 2, which is `é` in Windows-1252 \(Latin-1\); save it as UTF-8, for",
    ),
    "a spreadsheet": ("a.csv", b"PK\x03\x04\xff" + bytes(22) + b"x" * 40, r"it is a zip archive; unpack it first"),
    "a pointer": (
        "a.csv",
        "version https://git-lfs.github.com/spec/v1\n",
        r"it is a Git LFS pointer; run git lfs pull",
    ),
    "a huge cell": ("a.csv", f"text,label\n{'a' * (MAX_CELL_CHARACTERS + 1)},1\n", r"2: a cell of more than 16777216"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_table_that_is_none_is_named_with_its_line(case: str, tmp_path: Path) -> None:
    name, content, expected = MALFORMED[case]
    with pytest.raises(DataError, match=expected) as caught:
        open_table(table(tmp_path, name, content))
    assert "\n" not in str(caught.value)


NO_TEXTS = {
    "empty": ("", "it is empty"),
    "spaces": (" \u00a0\u200b\t", "it holds only spaces"),
    "a NUL": ("a\0b", "it holds a NUL character"),
    "half a pair": ("a\ud800", "it holds half of a UTF-16 pair"),
    "too long": ("a" * (MAX_CHARACTERS + 1), "it has 131073 characters, more than 131072"),
    "a number": (5, "expected text in `text`, found a number"),
    "nothing": (None, "it is empty"),
}


@pytest.mark.parametrize("case", NO_TEXTS)
def test_a_row_without_a_text_is_named_and_not_the_table(case: str, tmp_path: Path) -> None:
    value, reason = NO_TEXTS[case]
    lines = [json.dumps({"text": "fine"}), json.dumps({"text": value})]
    path = table(tmp_path, "a.jsonl", "\n".join(lines))
    assert read_example(Path(f"{path}:1")) == "fine"
    with pytest.raises(UnreadableText, match=rf"a\.jsonl:2: not usable as a text: {reason}"):
        read_example(Path(f"{path}:2"))


def test_a_text_that_is_too_long_does_not_spoil_a_table_of_csv(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    path = table(tmp_path, "a.csv", f"text,label\nfine,1\n{'a' * (MAX_CHARACTERS + 1)},2\nalso fine,1\n")
    assert [read_example(Path(f"{path}:{line}")) for line in (2, 4)] == ["fine", "also fine"]
    with pytest.raises(UnreadableText, match=r"a\.csv:3: not usable as a text: it has 131073 characters"):
        read_example(Path(f"{path}:3"))
    assert csv.field_size_limit() == limit


def test_a_file_is_one_text_without_its_mark_and_its_last_line_break(tmp_path: Path) -> None:
    assert read_example(table(tmp_path, "a.txt", b"\xef\xbb\xbfone\r\ntwo\r\n")) == "one\r\ntwo"
    assert read_example(table(tmp_path, "b.txt", ":-) 100 %\n\n")) == ":-) 100 %\n"
    with pytest.raises(UnreadableText, match=r"c\.txt: not usable as a text: not UTF-8: byte 0x92 in line 1"):
        read_example(table(tmp_path, "c.txt", b"it\x92s"))


NASTY = (
    b'"',
    b'""',
    b",",
    b"\t",
    b"\r",
    b"\n",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"{",
    b"[" * 5000,
    b"\\ud800",
    b"1e999",
)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_damaged_tables_are_read_or_refused_in_one_line(suffix: str, tmp_path: Path) -> None:
    whole = {
        "csv": b'text,label\n"a, ""b""",1\nsecond line,0\n',
        "tsv": b"text\tlabel\na b\t1\nsecond line\t0\n",
        "jsonl": b'{"text": "a", "label": 1}\n{"text": "second line", "label": true}\n',
    }[suffix]
    rng = random.Random(0)
    read, messages = 0, list[str]()
    for number in range(300):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.randrange(3)] = rng.choice(NASTY)
        path = table(tmp_path, f"{number}.{suffix}", bytes(data))
        try:
            for line in open_table(path).numbers:
                read += bool(read_example(Path(f"{path}:{line}")))
        except DataError as error:
            messages.append(str(error))
    assert [message for message in messages if not message.isprintable()] == []
    assert read > 20
    assert len(messages) > 20
