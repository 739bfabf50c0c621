"""network.json: the NetworkSpec on disk. Torch-free."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import get_args

from pydantic import TypeAdapter, ValidationError

from edgetl.errors import WeightsError
from edgetl.files.json_file import first_problem
from edgetl.fronts.text.load import carry
from edgetl.types import NetworkSpec, Preprocessing, described, located

SCHEMA = 1
_MAX_BYTES = 1_000_000


def write_spec(spec: NetworkSpec, path: Path) -> None:
    """Write `spec` as JSON with sorted keys: equal specs give equal bytes. Of a network for texts with a copy of its
    tokenizer beside it."""
    values = {**asdict(spec), "preprocessing": described(spec.preprocessing)}
    for name in ("surgery", "licence"):
        if not values[name]:
            del values[name]  # the same bytes as before there was such a field
    text = json.dumps({"schema": SCHEMA, **values}, indent=2, sort_keys=True, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    carry(spec.preprocessing, path.parent)


def read_spec(path: Path) -> NetworkSpec:
    """Read what `write_spec` wrote. Raises WeightsError naming the file and what is wrong in it."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise WeightsError(f"{path}: larger than {_MAX_BYTES} bytes; this is not a network description")
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WeightsError(f"{path}: cannot read the network description: {error}") from error
    if not isinstance(raw, dict) or raw.pop("schema", None) != SCHEMA:
        raise WeightsError(f"{path}: expected a network description of schema {SCHEMA}")
    try:
        _refuse_unknown(raw)
        spec = TypeAdapter(NetworkSpec).validate_python(raw)
        return replace(spec, preprocessing=located(spec.preprocessing, path.parent))
    except ValidationError as error:
        raise WeightsError(f"{path}: not a network description: {first_problem(error)}") from error
    except ValueError as error:
        raise WeightsError(f"{path}: not a network description: {error}") from error


def _refuse_unknown(raw: dict[str, object]) -> None:
    known = {field.name for field in fields(NetworkSpec)}
    inner = raw.get("preprocessing")
    unknown = sorted(set(raw) - known)
    if isinstance(inner, dict):
        unknown += sorted(set(inner) - {field.name for kind in get_args(Preprocessing) for field in fields(kind)})
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(unknown)}")
