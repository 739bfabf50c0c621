"""`tokenizer.json` of a bundle: everything that turns a text into ids, for Python and C++ (decision 27)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edgetl.errors import BundleError
from edgetl.files.json_file import StrictModel, read_json

SCHEMA = 1
MOST_BYTES = 64_000_000
_MOST_PIECES = 1_000_000
_MOST_MERGES = 4_000_000

Id = Annotated[int, Field(ge=0, le=10_000_000)]
Ids = Annotated[tuple[Id, ...], Field(max_length=16)]
_Score = Annotated[float, Field(ge=-1e9, le=1e9)]
_Text = Annotated[str, Field(min_length=1, max_length=1000)]
_Pieces = Annotated[tuple[_Text, ...], Field(min_length=1, max_length=_MOST_PIECES)]


class Plain(StrictModel):
    """A step that has no settings.

    clean         delete the set `control`, make a space of every character of the set `blank`
    spaced_cjk    a space on both sides of every character of the set `cjk`
    nfd nfc nfkd nfkc   Unicode normalization by the tables
    drop_mn       delete the set `nonspacing`;  drop_marks: the set `mark`
    lower         the map `lower`
    """

    step: Literal["clean", "spaced_cjk", "nfd", "nfc", "nfkd", "nfkc", "drop_mn", "drop_marks", "lower"]


class Replace(StrictModel):
    """Every occurrence of `old`, from the left, without overlap."""

    step: Literal["replace"]
    old: _Text
    new: Annotated[str, Field(max_length=1000)]


class Repeated(StrictModel):
    """Two or more of the character `old` in a row become `new`, once."""

    step: Literal["repeated"]
    old: Annotated[str, Field(min_length=1, max_length=1)]
    new: Annotated[str, Field(max_length=1000)]


class Prepend(StrictModel):
    """`text` in front of a section that is not empty."""

    step: Literal["prepend"]
    text: _Text


class Strip(StrictModel):
    """Delete the set `white` at the beginning, at the end."""

    step: Literal["strip"]
    left: bool
    right: bool


class Charsmap(StrictModel):
    """The map of a sentencepiece model, over clusters of characters (decision 27).

    pairs   old, new, old, new, ...; no `old` begins with another one
    """

    step: Literal["charsmap"]
    pairs: Annotated[tuple[Annotated[str, Field(max_length=1000)], ...], Field(max_length=200_000)]

    @model_validator(mode="after")
    def _even(self) -> Charsmap:
        if len(self.pairs) % 2 or not all(self.pairs[::2]):
            raise ValueError("expected pairs of texts, the first one not empty")
        return self


class Cut(StrictModel):
    """A way to cut every word into words that has no settings.

    white         at the set `white`, which is deleted
    punctuation   every character of the set `punctuation` becomes a word
    word          runs of the set `word`, runs of what is in neither `word` nor `white`; the rest is deleted
    gpt2          the expression of GPT-2
    prefix_space  no cut: a space in front of every word that does not begin with one
    """

    step: Literal["white", "punctuation", "word", "gpt2", "prefix_space"]


class Digits(StrictModel):
    """Runs of the set `numeric` become words; or each of its characters."""

    step: Literal["digits"]
    single: bool


class Llama3(StrictModel):
    """The expression of Llama 3 (digits 3), Qwen 2 (digits 1)."""

    step: Literal["llama3"]
    digits: Annotated[int, Field(ge=1, le=9)]


class Metaspace(StrictModel):
    """Spaces become `mark`.

    prepend   `mark` in front of a word that does not begin with it: of every word; of the one at the beginning of the
              whole text; never
    cut       before every `mark`
    """

    step: Literal["metaspace"]
    mark: Annotated[str, Field(min_length=1, max_length=1)]
    prepend: Literal["always", "first", "never"]
    cut: bool


class Bytes(StrictModel):
    """Every byte of a word (UTF-8) becomes a character of `alphabet`: 256 different ones, in the order of bytes."""

    step: Literal["bytes"]
    alphabet: Annotated[str, Field(min_length=256, max_length=256)]

    @model_validator(mode="after")
    def _different(self) -> Bytes:
        if len(set(self.alphabet)) != len(self.alphabet):
            raise ValueError("expected 256 different characters")
        return self


class WordPiece(StrictModel):
    """The longest piece first; pieces after the first one of a word begin with `prefix`.

    longest   a word of more characters is `unknown`, as is one that pieces do not cover
    """

    kind: Literal["wordpiece"]
    pieces: _Pieces
    unknown: Id
    prefix: Annotated[str, Field(max_length=16)]
    longest: Annotated[int, Field(ge=1, le=100_000)]


class Bpe(StrictModel):
    """Characters, merged in pairs.

    unknown        of a character that is no piece; null: such a character is left out
    fuse_unknown   neighboring unknown characters are one id
    byte_fallback  instead the pieces <0x00> .. <0xFF> of its bytes, which all exist
    whole_words    a word that is a piece is that piece, without merging
    merges         left id, right id, rank, left id, ...: of all pairs the smallest rank first, of equal ones the
                   leftmost; the merged piece is the one whose text is both texts together
    """

    kind: Literal["bpe"]
    pieces: _Pieces
    unknown: Id | None
    fuse_unknown: bool
    byte_fallback: bool
    whole_words: bool
    merges: Annotated[tuple[Id, ...], Field(max_length=3 * _MOST_MERGES)]


class Unigram(StrictModel):
    """The way through a word with the largest sum of scores, in float64, added from the left.

    unknown_score   of one character that is no piece of its own
    Of equal sums that of the earlier start remains. Neighboring unknown characters are one id.
    byte_fallback   unknown ones become the pieces <0x00> .. <0xFF> of their bytes, which all exist
    """

    kind: Literal["unigram"]
    pieces: _Pieces
    scores: Annotated[tuple[_Score, ...], Field(max_length=_MOST_PIECES)]
    unknown: Id
    unknown_score: _Score
    byte_fallback: bool


class Special(StrictModel):
    """A token that is found in the text as it is written.

    normalized     it is sought in the normalized sections, not in the raw text
    lstrip rstrip  it takes the set `white` on that side with it
    """

    text: _Text
    id: Id
    normalized: bool
    lstrip: bool
    rstrip: bool


Normalizing = Annotated[Plain | Replace | Repeated | Prepend | Strip | Charsmap, Field(discriminator="step")]
Cutting = Annotated[Cut | Digits | Llama3 | Metaspace | Bytes, Field(discriminator="step")]
Model = Annotated[WordPiece | Bpe | Unigram, Field(discriminator="kind")]


class Description(StrictModel):
    """A tokenizer. The id of a piece is its place in `model.pieces`."""

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    special: Annotated[tuple[Special, ...], Field(max_length=20_000)]
    normalize: Annotated[tuple[Normalizing, ...], Field(max_length=16)]
    cut: Annotated[tuple[Cutting, ...], Field(max_length=16)]
    model: Model
    before: Ids
    after: Ids
    pad: Id

    @model_validator(mode="after")
    def _consistent(self) -> Description:
        texts = [special.text for special in self.special]
        _refuse(len(set(texts)) < len(texts), "special: the same text occurs twice")
        firsts = [step for step in self.cut[1:] if isinstance(step, Metaspace) and step.prepend == "first"]
        _refuse(bool(firsts), "cut: `first` is only for the first step")
        _check(self.model)
        return self

    @property
    def size(self) -> int:
        """How many rows a table of embeddings needs: the largest id and one."""
        specials = [special.id for special in self.special]
        return max(len(self.model.pieces) - 1, self.pad, *self.before, *self.after, *specials) + 1

    def document(self) -> dict[str, Any]:
        """Its content for a file."""
        return self.model_dump(by_alias=True)


def _refuse(wrong: bool, message: str) -> None:
    if wrong:
        raise ValueError(message)


def _check(model: WordPiece | Bpe | Unigram) -> None:
    pieces = set(model.pieces)
    _refuse(len(pieces) < len(model.pieces), "pieces: the same text occurs twice")
    _refuse(model.unknown is not None and model.unknown >= len(model.pieces), "unknown: not the id of a piece")
    if isinstance(model, WordPiece):
        return
    fallback = {f"<0x{byte:02X}>" for byte in range(256)}
    _refuse(model.byte_fallback and not fallback <= pieces, "byte_fallback: a piece of <0x00> .. <0xFF> is missing")
    if isinstance(model, Unigram):
        _refuse(len(model.scores) != len(model.pieces), "scores: expected one for each piece")
        return
    _refuse(len(model.merges) % 3 != 0, "merges: expected left, right and rank of each")
    count = len(model.pieces)
    for left, right in zip(model.merges[::3], model.merges[1::3], strict=True):
        known = left < count and right < count and model.pieces[left] + model.pieces[right] in pieces
        _refuse(not known, f"merges: {left} and {right} do not make a piece")


def read_description(path: Path) -> Description:
    """Raises BundleError with one line; OSError if the file cannot be read."""
    return read_json(path, Description, most_bytes=MOST_BYTES, what="a description of a tokenizer")


def write_description(path: Path, description: Description) -> None:
    """Compact UTF-8 JSON: the same description is the same bytes. Raises BundleError if it would be too large."""
    text = json.dumps(description.document(), ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"
    data = text.encode()
    if len(data) > MOST_BYTES:
        raise BundleError(f"{path}: the tokenizer takes {len(data)} bytes; expected at most {MOST_BYTES}")
    path.write_bytes(data)
