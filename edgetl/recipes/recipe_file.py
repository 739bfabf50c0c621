"""Reads a recipe file and `--set` into a Recipe: every mistake on one line with its place and the expected value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from edgetl.errors import UsageError
from edgetl.files.refusal import key_of, place_of, sentence
from edgetl.files.text import escaped, nearest, quoted, shortened
from edgetl.files.yaml_file import read_yaml, read_yaml_file
from edgetl.recipes.recipe import Recipe

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_NAMED_MISTAKES = 20
_OVERRIDE_CHARACTERS = 80
_MOST_SUGGESTED = 3
_GONE = frozenset({"adapt.ema", "adapt.l2_sp", "adapt.layer_decay", "adapt.mixup", "quantize.equalize"})


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe file, with `key.sub=value` overrides applied. Raises UsageError naming file and key, or
    the wrong override."""
    return parse_recipe(read_raw(path, overrides), where=escaped(str(path)), overrides=overrides)


def read_raw(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The content of a recipe file that is not checked yet, with overrides applied. Raises UsageError."""
    raw = read_yaml_file(path, "the recipe")
    where = escaped(str(path))
    if not isinstance(raw, dict):
        found = "an empty file" if raw is None else f"a {type(raw).__name__}"
        raise UsageError(f"{where}: expected a mapping with the keys {', '.join(Recipe.model_fields)}; found {found}")
    for override in overrides:
        apply_override(raw, override)
    return raw


def parse_recipe(raw: dict[str, Any], *, where: str, overrides: Sequence[str] = ()) -> Recipe:
    """Check a mapping. `where` starts every error line, except for values set by one of `overrides`."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise UsageError("\n".join(validation_lines(error, where, overrides))) from error


def validation_lines(error: ValidationError, where: str, overrides: Sequence[str] = ()) -> list[str]:
    """One line per mistake, for the first ones; `where` starts each."""
    places: dict[tuple[str, ...], list[ErrorDetails]] = {}
    for problem in error.errors():
        places.setdefault(place_of(problem), []).append(problem)
    set_by = {tuple(override.partition("=")[0].split(".")): override for override in overrides}
    lines = []
    for place, problems in list(places.items())[:_NAMED_MISTAKES]:
        override = next((text for key, text in set_by.items() if _touch(key, place)), None)
        start = where if override is None else f"--set {shortened(override, _OVERRIDE_CHARACTERS)}"
        lines.append(f"{start}: {_line(place, problems)}")
    more = len(places) - len(lines)
    return [*lines, f"{where}: {more} more mistakes"] if more else lines


def _touch(key: tuple[str, ...], place: tuple[str, ...]) -> bool:
    """Whether the value at `place` comes from an override of `key`."""
    return bool(place) and place[: len(key)] == key


def _line(place: tuple[str, ...], problems: Sequence[ErrorDetails]) -> str:
    key, kind = key_of(place), problems[0]["type"]
    if kind == "extra_forbidden" and key in _GONE:
        return f"`{key}` is gone since 0.1.0, as it had no measured benefit; delete it"
    if kind == "extra_forbidden":
        return f"unknown key `{key}`; {_suggestion(place)}"
    if kind == "missing":
        return f"`{key}` is missing"
    if kind == "invalid_key":
        return f"expected text as a key; found {quoted(problems[0]['input'])}"
    text = sentence(problems)
    if not key:
        return text.partition("; found")[0]
    return f"`{key}`: {text}"


def _suggestion(place: tuple[str, ...]) -> str:
    """The nearest key of the section, or the other sections that have this key."""
    word, valid = place[-1], _keys_at(place[:-1])
    elsewhere = [path for path in _all_keys(Recipe) if path.rpartition(".")[2] == word and "." in path]
    if elsewhere and len(elsewhere) <= _MOST_SUGGESTED:
        return f"did you mean {' or '.join(f'`{path}`' for path in elsewhere)}?"
    return nearest(word, valid)


def _all_keys(model: type[BaseModel], start: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield start + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _all_keys(field.annotation, f"{start}{name}.")


def _keys_at(place: Sequence[str]) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in place:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Set one `key.sub=value` in a mapping that is not checked yet. Raises UsageError."""
    key, sign, text = override.partition("=")
    said = f"--set {shortened(override, _OVERRIDE_CHARACTERS)}"
    if not sign or not key:
        raise UsageError(f"{said}: expected key=value, for example --set data.shots=5")
    parts = key.split(".")
    node = raw
    for part in parts[:-1]:
        node = node.setdefault(part, {})
        if not isinstance(node, dict):
            raise UsageError(f"{said}: `{shortened(part, _OVERRIDE_CHARACTERS)}` is not a section")
    try:
        node[parts[-1]] = read_yaml(text)
    except ValueError as error:
        raise UsageError(f"{said}: not a YAML value: {error}") from error
