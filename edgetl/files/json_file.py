"""Untrusted JSON files: bounded, strict and unambiguous. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, PlainSerializer, Tag, ValidationError

from edgetl.errors import BundleError, DataError
from edgetl.files.digest import open_plain
from edgetl.files.file_kind import describe_bytes
from edgetl.files.refusal import place_of, sentence
from edgetl.files.text import printable, shortened
from edgetl.types import AudioPreprocessing, ImagePreprocessing, SeriesPreprocessing, TextPreprocessing, described

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_MISSING = ("missing", "missing_argument")
_KEYS = {"rate_hz": "(audio)", "tokenizer": "(text)", "steps": "(series)"}
_ALTERNATIVES = ("(image)", *_KEYS.values())  # which of them was read is no key of the file
_PLACE_CHARACTERS = 120
T = TypeVar("T", bound=BaseModel)


class StrictModel(BaseModel):
    """What a file must be: no key that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TolerantModel(BaseModel):
    """What later versions may add to: readers meet fields that they do not know, and leave them alone."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


def _has(value: object, key: str) -> bool:
    return key in value if isinstance(value, dict) else hasattr(value, key)


def _plain(value: str) -> str:
    if printable(value) != value:
        raise ValueError("expected text without control characters")
    return value


PlainText = Annotated[str, AfterValidator(_plain)]
"""Text that fits one line of a terminal or of labels.txt."""
NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
"""A plain name inside a folder: it does not begin with a dot, so it can neither leave the folder nor hide in it."""
RelativePath = Annotated[str, Field(pattern=rf"^{NAME}(/{NAME}){{0,3}}$", max_length=200)]
ReadPreprocessing = Annotated[
    Annotated[ImagePreprocessing, Tag("(image)")]
    | Annotated[AudioPreprocessing, Tag("(audio)")]
    | Annotated[TextPreprocessing, Tag("(text)")]
    | Annotated[SeriesPreprocessing, Tag("(series)")],
    Discriminator(lambda value: next((tag for key, tag in _KEYS.items() if _has(value, key)), "(image)")),
    PlainSerializer(described),
]
"""A `Preprocessing` in a file: its keys say of which front."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Label = Annotated[PlainText, Field(max_length=500)]
Labels = Annotated[tuple[Label, ...], Field(min_length=2, max_length=100_000)]
"""The class names of a classifier, in the order of the logits."""
DetectorLabels = Annotated[tuple[Label, ...], Field(min_length=1, max_length=100_000)]
"""Those of a detector, which may know a single class."""


def read_json(path: Path, model: type[T] | Callable[[object], type[T]], *, most_bytes: int, what: str) -> T:
    """Read `path` as `model`: no duplicate key, no unknown key, no number instead of text or text instead of a number.

    model   what it must be; or chooses it by the content, in which numbers are still texts
    what    "a manifest of schema 1", for the message
    raises  BundleError with one line; OSError if the file cannot be read or is not a regular file.
    """
    with open_plain(path) as stream:
        data = stream.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise BundleError(f"{path}: not {what}: larger than {most_bytes} bytes")
    try:
        # Python's reader reports all keys of an object; pydantic's would silently take the last of two equal ones
        content = _parsed(data, object_pairs_hook=_once, parse_int=str, parse_float=str)
    except ValueError as error:
        raise BundleError(f"{path}: not {what}: {error}") from error
    try:
        chosen: type[T] = model if isinstance(model, type) else model(content)
        return chosen.model_validate_json(data.decode("utf-8"), strict=True)
    except ValidationError as error:
        raise BundleError(f"{path}: not {what}: {first_problem(error)}") from error


def read_json_value(path: Path, *, most_bytes: int, what: str) -> Any:
    """The plain value of a JSON file, in which no key of an object occurs twice.

    what    "a COCO file", for the message
    raises  DataError with one line, also if the file cannot be read.
    """
    try:
        with open_plain(path) as stream:
            data = stream.read(most_bytes + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > most_bytes:
        raise DataError(f"{path}: not {what}: larger than {most_bytes} bytes")
    try:
        return _parsed(data, object_pairs_hook=_once)
    except ValueError as error:
        raise DataError(f"{path}: not {what}: {error}") from error


def _parsed(data: bytes, **hooks: Any) -> Any:
    """Raises ValueError that says in a few words what is wrong."""
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_no_number, **hooks)
    except UnicodeDecodeError as error:
        raise ValueError(_instead(data) or f"invalid UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise ValueError(_instead(data) or f"invalid JSON at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        _refuse_repeated(pairs)
    return found


def _instead(data: bytes) -> str:
    kind = describe_bytes(data)
    return "" if kind.kind in ("json", "text") else kind.sentence


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise ValueError(f"the key `{shortened(key, _PLACE_CHARACTERS)}` occurs twice")
        seen.add(key)


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def first_problem(error: ValidationError) -> str:
    """The first mistake in a document, in one line: `builds.0.size` and what was expected."""
    found = error.errors()[0]
    keys = (str(part) for part in found["loc"] if part not in _ALTERNATIVES)
    place = shortened(".".join(keys), _PLACE_CHARACTERS) or "the file"
    if found["type"] in _UNKNOWN:
        return f"unknown key `{place}`"
    if found["type"] in _MISSING:
        return f"`{place}` is missing"
    return f"`{place}`: {sentence([other for other in error.errors() if place_of(other) == place_of(found)])}"
