"""The space of a sweep: a YAML file of recipe keys, each with a list of values or a range."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from edgetl.errors import UsageError
from edgetl.files.refusal import place_of
from edgetl.files.text import escaped, quoted, shortened
from edgetl.files.yaml_file import read_yaml_file
from edgetl.recipes.recipe import Recipe
from edgetl.recipes.recipe_file import apply_override, validation_lines
from edgetl.recipes.section import Section
from edgetl.recipes.targets import load_target
from edgetl.types import FrontName

Settings = Mapping[str, Any]
"""The values of one trial, by recipe key."""

_MOST_VALUES = 1000
_SHORT = {"backbone": "backbone.name"}
_FIXED = ("name", "out", "task", "front", "check", "gates", "bench")
_FREE_DATA = ("data.augment", "data.resize")


class Range(Section):
    """Numbers between two ends, both included; whole ones if both ends are whole."""

    low: int | float
    high: int | float
    log: bool = Field(default=False)
    """Uniform in the logarithm."""

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high:
            raise ValueError("expected low below high")
        if self.log and self.low <= 0:
            raise ValueError("log needs a low above 0")
        return self

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


@dataclass(frozen=True)
class Axis:
    """One key and its values: a tuple of choices, or a range."""

    key: str
    values: tuple[Any, ...] | Range

    def examples(self) -> tuple[Any, ...]:
        """Values that show whether the key takes them: all choices, or both ends."""
        return (self.values.low, self.values.high) if isinstance(self.values, Range) else self.values


@dataclass(frozen=True)
class Space:
    """All axes, in the order of the file."""

    axes: tuple[Axis, ...]

    @property
    def size(self) -> float:
        """Number of combinations; infinite with a range."""
        counts = [math.inf if isinstance(axis.values, Range) else len(axis.values) for axis in self.axes]
        return math.prod(counts)

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.size)

    def combinations(self) -> Iterator[Settings]:
        """All of them, the last key fastest. Only of a finite space."""
        for values in product(*(axis.examples() for axis in self.axes)):
            yield {axis.key: value for axis, value in zip(self.axes, values, strict=True)}

    def to_json(self) -> dict[str, Any]:
        return {
            axis.key: axis.values.model_dump() if isinstance(axis.values, Range) else list(axis.values)
            for axis in self.axes
        }


def overrides(settings: Settings) -> tuple[str, ...]:
    """The settings as `--set` takes them."""
    return tuple(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in settings.items())


def with_settings(raw: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """A recipe that is not checked yet, with settings applied as by `--set`."""
    changed: dict[str, Any] = json.loads(json.dumps(raw))
    for override in overrides(settings):
        apply_override(changed, override)
    return changed


def read_space(path: Path, raw: Mapping[str, Any], targets_dirs: Sequence[Path] = ()) -> Space:
    """Read and check a space for a recipe; `raw` is that recipe as plain values.

    The recipe's targets become an axis if it names several: a trial builds for one.
    raises  UsageError with one line that names file and key.
    """
    found = read_yaml_file(path, "the space")
    where = escaped(str(path))
    if not isinstance(found, dict) or not found:
        raise UsageError(f"{where}: expected recipe keys with lists of values, for example adapt.epochs: [10, 30]")
    axes = [_axis(where, key, value) for key, value in found.items()]
    targets = raw.get("targets")
    if isinstance(targets, list) and len(targets) > 1 and not any(axis.key == "targets" for axis in axes):
        axes.append(Axis("targets", tuple(targets)))
    _refuse_twice(where, [axis.key for axis in axes])
    for axis in axes:
        _refuse_fixed(where, axis)
        for value in axis.examples():
            _refuse_invalid(where, raw, axis.key, value)
        _refuse_unknown_target(where, axis, targets_dirs, raw.get("front", "image"))
    return Space(tuple(axes))


def _axis(where: str, key: Any, value: Any) -> Axis:
    if not isinstance(key, str):
        raise UsageError(f"{where}: expected recipe keys; found {quoted(key)}")
    return Axis(_SHORT.get(key, key), _values(where, key, value))


def _values(where: str, key: str, value: Any) -> tuple[Any, ...] | Range:
    place = f"{where}: `{shortened(key, 80)}`"
    if isinstance(value, list):
        if not value or len(value) > _MOST_VALUES:
            raise UsageError(f"{place}: expected 1 to {_MOST_VALUES} values; found {len(value)}")
        texts = [json.dumps(each) for each in value]
        if len(set(texts)) < len(texts):
            twice = next(text for text in texts if texts.count(text) > 1)
            raise UsageError(f"{place}: {shortened(twice, 80)} is listed twice")
        return tuple(value)
    if isinstance(value, dict) and {"low", "high", "log"} & set(value):
        try:
            return Range.model_validate(value)
        except ValidationError as error:
            line = validation_lines(error, place)[0]
            raise UsageError(line.partition("; did you mean")[0].partition("; valid")[0]) from error
    nested = " (a key of a section is written with a dot: `adapt.epochs`)" if isinstance(value, dict) else ""
    raise UsageError(f"{place}: expected a list of values or {{low: 1, high: 10, log: true}}{nested}")


def _refuse_twice(where: str, keys: Sequence[str]) -> None:
    for key in keys:
        inside = [other for other in keys if other != key and other.startswith(f"{key}.")]
        if keys.count(key) > 1 or inside:
            raise UsageError(f"{where}: `{inside[0] if inside else key}` is set twice; keep one of its keys")


def _refuse_fixed(where: str, axis: Axis) -> None:
    section = axis.key.partition(".")[0]
    if section in _FIXED:
        raise UsageError(f"{where}: `{axis.key}` is the same in all trials; set it in the recipe")
    if section == "data" and axis.key not in _FREE_DATA:
        raise UsageError(f"{where}: `{axis.key}`: trials are compared on the same images; set it in the recipe")
    if axis.key == "targets":
        many = [value for value in axis.examples() if not isinstance(value, str)]
        if many:
            raise UsageError(f"{where}: `targets`: a trial builds for one target; found {quoted(many[0])}")


def _refuse_invalid(where: str, raw: Mapping[str, Any], key: str, value: Any) -> None:
    """Raise UsageError if the recipe does not take the value; combinations of values are left to their trials."""
    try:
        Recipe.model_validate(with_settings(raw, {key: value}))
    except UsageError as error:
        raise UsageError(f"{where}: `{key}`: {str(error).rpartition(': ')[2]}") from error
    except ValidationError as error:
        lines = dict(zip(dict.fromkeys(map(place_of, error.errors())), validation_lines(error, where), strict=False))
        place = tuple(key.split("."))
        for problem in error.errors():
            found = place_of(problem)
            # a sentence about a whole section may be about two of its keys
            around = found and place[: len(found)] == found and problem["type"] != "value_error"
            if (found[: len(place)] == place or around) and found in lines:
                raise UsageError(lines[found]) from error


def _refuse_unknown_target(where: str, axis: Axis, targets_dirs: Sequence[Path], front: FrontName) -> None:
    for name in axis.examples() if axis.key == "targets" else ():
        try:
            load_target(name, targets_dirs, front)
        except UsageError as error:
            raise UsageError(f"{where}: `targets`: {error}") from error
