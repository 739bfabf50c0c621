"""Targets and calibration profiles: one YAML file each, checked on reading, nearest name on a typo."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from edgetl.errors import UsageError
from edgetl.files.refusal import key_of, place_of, sentence
from edgetl.files.text import escaped, nearest, shortened
from edgetl.files.yaml_file import read_yaml_file
from edgetl.recipes.resources import resource_dir
from edgetl.types import PRECISIONS, CalibrationProfile, FrontName, OperatorName, Scheme, Target

_NAMED_MISTAKES = 20
_TEXT_SCHEME = "text_scheme"
T = TypeVar("T", Target, CalibrationProfile)


def target_names(extra_dirs: Sequence[Path] = ()) -> list[str]:
    return sorted(_files("targets", extra_dirs))


def profile_names(extra_dirs: Sequence[Path] = ()) -> list[str]:
    return sorted(_files("calibration", extra_dirs))


def load_target(name: str, extra_dirs: Sequence[Path] = (), front: FrontName = "image") -> Target:
    """The target named `name`, with the scheme that it uses for networks of a front. The user's own folders come first.

    For texts only linear layers read integers, and a target's `text_scheme` replaces keys of its `scheme`
    (docs/decisions/0031-text-in-int8.md).
    raises  UsageError naming the nearest; also for a dynamic scheme of another front
    """
    target = _load(Target, "target", name, _files("targets", extra_dirs), front)
    if front != "text" and target.scheme.is_dynamic:
        raise UsageError(
            f"target {name}: scheme: activation_dtype: dynamic is for texts; write uint8 or int8, and dynamic in "
            "`text_scheme`"
        )
    for precision in target.precisions:
        if made := PRECISIONS[precision].made:
            raise UsageError(f"target {name}: precisions: {precision} builds are made {made}; remove it")
    return target


def load_profile(name: str, extra_dirs: Sequence[Path] = ()) -> CalibrationProfile:
    """The calibration profile named `name`. Raises UsageError naming the nearest."""
    return _load(CalibrationProfile, "calibration profile", name, _files("calibration", extra_dirs))


def scheme_id(scheme: Scheme) -> str:
    """Short name, equal if and only if the schemes are: `u8s8-3fa2c1`. Targets that share it share one training."""
    # operators are a set: their order in the file is not part of the scheme
    operators = [name for name in get_args(OperatorName) if name in scheme.operators]
    text = json.dumps(asdict(scheme) | {"operators": operators}, sort_keys=True)
    activation = {"uint8": "u8", "int8": "s8", "dynamic": "dyn"}[scheme.activation_dtype]
    return f"{activation}s8-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _files(kind: str, extra_dirs: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in (*extra_dirs, resource_dir(kind)):
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder of {kind}")
        for path in sorted(folder.glob("*.yaml")):
            found.setdefault(path.stem, path)
    return found


def _load(kind: type[T], word: str, name: str, files: dict[str, Path], front: FrontName = "image") -> T:
    if name not in files:
        raise UsageError(f"unknown {word} `{name}`; {nearest(name, files)}")
    path = files[name]
    where = escaped(str(path))
    raw = _of_front(read_yaml_file(path, f"the {word}"), front, f"{where}: ")
    _refuse_unknown(raw, kind, f"{where}: ")
    try:
        value = TypeAdapter(kind).validate_python(raw)
    except ValidationError as error:
        raise UsageError(f"{where}: not a {word}: {_problems(error)}") from error
    if value.name != name:
        raise UsageError(f"{path}: `name` is `{value.name}`; expected the file's own name, `{name}`")
    return value


def _of_front(raw: Any, front: FrontName, where: str) -> Any:
    """The file's content without `text_scheme`, which has gone into the scheme if the front is that of texts."""
    if not isinstance(raw, dict) or not isinstance(raw.get("scheme"), dict):
        return raw
    own = raw.pop(_TEXT_SCHEME, {})
    if not isinstance(own, dict):
        raise UsageError(f"{where}`{_TEXT_SCHEME}`: expected keys of `scheme` and their values for texts")
    _refuse_unknown({"scheme": own}, Target, where, _TEXT_SCHEME)
    if front == "text":
        raw["scheme"] = {**raw["scheme"], "operators": ["linear"], **own}
    return raw


def _problems(error: ValidationError) -> str:
    """One sentence per mistake, for the first ones."""
    places: dict[tuple[str, ...], list[ErrorDetails]] = {}
    for problem in error.errors():
        places.setdefault(place_of(problem), []).append(problem)
    return "; ".join(_problem(place, problems) for place, problems in list(places.items())[:_NAMED_MISTAKES])


def _problem(place: tuple[str, ...], problems: Sequence[ErrorDetails]) -> str:
    first, key = problems[0], key_of(place)
    if not key and "error" in first.get("ctx", {}):
        return shortened(str(first["ctx"]["error"]), 400)  # raised by the dataclass itself, and names the key
    if first["type"] in ("missing", "missing_argument"):
        return f"`{key}` is missing"
    return f"{f'`{key}`: ' if key else ''}{sentence(problems)}"


def _refuse_unknown(raw: Any, kind: type[Any], where: str, scheme: str = "scheme") -> None:
    # pydantic ignores extra keys of plain dataclasses; a typo in a target must not pass silently
    if not isinstance(raw, dict):
        return
    valid = [field.name for field in fields(kind)]
    for key in raw:
        if key not in valid:
            raise UsageError(f"{where}unknown key `{shortened(str(key), 80)}`; {nearest(str(key), valid)}")
    if "scheme" in raw and kind is Target:
        _refuse_unknown(raw["scheme"], Scheme, f"{where}{scheme}: ")
