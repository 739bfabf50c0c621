"""Texts that are typed or come through a pipe, as rows of a temporary table."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from edgetl.errors import DataError

STDIN = Path("-")
_MOST_BYTES = 64_000_000


@contextmanager
def as_rows(texts: Sequence[str], stdin: bool) -> Iterator[dict[str, str]]:
    """Place -> the name that is shown for it (`text:1`, `stdin:3`) of the given texts and of the lines of stdin that
    are not blank. The places are valid inside of the `with`. Raises DataError for a stdin that is no UTF-8."""
    from edgetl.files.temporary import temporary_folder

    if not texts and not stdin:
        yield {}
        return
    with temporary_folder() as folder:
        sources = {"text": dict(enumerate(texts, start=1)), "stdin": _lines() if stdin else {}}
        yield {place: name for source, found in sources.items() for place, name in _table(folder, source, found)}


def with_names(result: Any, names: Mapping[str, str]) -> Any:
    """A result with the name that is shown in place of its place."""
    name = names.get(result.path, result.path)
    return replace(result, path=name, error=result.error.replace(result.path, name))


def refuse_texts(front: str, bundle: Path, given: Mapping[str, object]) -> None:
    """Raise UsageError for an option of texts if the bundle takes something else."""
    for option, value in given.items():
        if value and front != "text":
            raise click.UsageError(f"{option} is for texts; {bundle} takes {front}")


def _table(folder: Path, source: str, found: Mapping[int, str]) -> list[tuple[str, str]]:
    table, last = folder / f"{source}.jsonl", max(found, default=0)
    rows = [json.dumps({"text": found[number]}) if number in found else "" for number in range(1, last + 1)]
    table.write_text("\n".join(rows), encoding="utf-8")
    return [(f"{table}:{number}", f"{source}:{number}") for number in found]


def _lines() -> dict[int, str]:
    from edgetl.fronts.text.encoding import NotText, decode_text

    data = sys.stdin.buffer.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise DataError(f"stdin: more than {_MOST_BYTES} bytes; write the texts into a table")
    try:
        lines = decode_text(data).split("\n")
    except NotText as error:
        raise DataError(f"stdin: {error}") from error
    return {number: line.removesuffix("\r") for number, line in enumerate(lines, start=1) if line.strip()}
