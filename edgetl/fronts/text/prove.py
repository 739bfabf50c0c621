"""Proof that a description gives the ids of the model's own tokenizer, before anything is trained on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from edgetl.errors import DataError
from edgetl.files.json_file import read_json_value
from edgetl.files.text import quoted
from edgetl.fronts.text.description import MOST_BYTES, Description
from edgetl.fronts.text.encode import Tokenizer
from edgetl.fronts.text.hugging_face import FILE, older

Reference = Callable[[list[str]], list[list[int]]]
_BATCH = 1000
_SPECIALS = 30


def nasty_texts(description: Description) -> Iterator[tuple[str, str]]:
    """Place and text: scripts, marks, controls, emoji, long words, and the tokenizer's own special tokens in texts."""
    stored = resources.files("edgetl.fronts.text").joinpath("nasty.json").read_text(encoding="utf-8")
    yield from ((f"edgetl's own text {number}", text) for number, text in enumerate(json.loads(stored), 1))
    for special in [special.text for special in description.special][:_SPECIALS]:
        for text in (
            special,
            f"a{special}b",
            f"  {special}\n{special}{special} .",
            f"A {special.lower()} {special[:-1]}",
        ):
            yield f"a text with {quoted(special)}", text


def prove_equal(tokenizer: Description | Tokenizer, reference: Path, texts: Iterable[tuple[str, str]]) -> int:
    """Compare with the tokenizer in the folder `reference` on `texts` (place, text) and on edgetl's own nasty ones.

    Returns how many texts were compared. Needs the extra `text`. Raises DataError that names the first text with other
    ids.
    """
    ours = tokenizer if isinstance(tokenizer, Tokenizer) else Tokenizer(tokenizer)
    theirs = reference_of(reference)
    advised = ((texts, "remove the text, or choose"), (nasty_texts(ours.description), "choose"))
    return sum(_compare(ours, theirs, rows, f"{advice} a model with another tokenizer") for rows, advice in advised)


def _compare(ours: Tokenizer, theirs: Reference, texts: Iterable[tuple[str, str]], advice: str) -> int:
    count = 0
    remaining = iter(texts)
    while rows := list(islice(remaining, _BATCH)):
        for (place, text), expected in zip(rows, theirs([text for _, text in rows]), strict=True):
            found = ours.encode(text)
            if found != expected:
                raise DataError(f"{place}: {_difference(text, found, expected)}; {advice}")
            count += 1
    return count


def _difference(text: str, found: list[int], expected: list[int]) -> str:
    at = next((place for place, (one, other) in enumerate(zip_longest(found, expected)) if one != other))
    one, other = (ids[at] if at < len(ids) else "nothing" for ids in (found, expected))
    return (
        f"edgetl's tokenizer differs from the model's own one: token {at + 1} is {one} instead of {other}, "
        f"in {quoted(text)}"
    )


def reference_of(folder: Path) -> Reference:
    """Texts -> the ids that the model's own tokenizer gives, uncut. Raises DataError."""
    path = folder / FILE
    content = read_json_value(path, most_bytes=MOST_BYTES, what="a tokenizer") if path.exists() else None
    if isinstance(content, list):
        return lambda texts: [_merged_by_scores(content, text) for text in texts]
    tokenizer = older(folder).backend_tokenizer if content is None else _library().from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda texts: [encoded.ids for encoded in tokenizer.encode_batch(texts)]


def _library() -> Any:
    try:
        from tokenizers import Tokenizer as Library
    except ImportError as error:
        raise DataError("texts need the package tokenizers: pip install 'edgetl[text]'") from error
    return Library


def _merged_by_scores(rows: list[list[Any]], text: str) -> list[int]:
    """As llama2.c does it: again and again the two neighbors with the best score. Shares no code with ours."""
    scores = dict(rows[3:])
    ids = {piece: place for place, (piece, _) in enumerate(rows) if place > 2}
    parts: list[str] = []
    for character in f" {text}" if text else "":
        parts += [character] if character in ids else [f"<0x{byte:02X}>" for byte in character.encode()]
    while True:
        pairs = [(scores[pair], -i) for i in range(len(parts) - 1) if (pair := parts[i] + parts[i + 1]) in ids]
        if not pairs:
            return [1, *(ids[part] for part in parts)]
        place = -max(pairs)[1]
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
