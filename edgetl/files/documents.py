"""JSON documents that stages write for later ones: typed values, written and read strictly. Torch-free."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, TypeAdapter, ValidationError, WithJsonSchema

from edgetl.errors import EdgetlError
from edgetl.files.durable import write_text
from edgetl.files.json_file import first_problem

T = TypeVar("T")


def _not_a_number(value: Any) -> Any:
    return math.nan if value is None else value


Number = Annotated[
    float, BeforeValidator(_not_a_number), WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "null"}]})
]
"""A float that may be NaN: null in the file, NaN in memory."""


def write_document(path: Path, value: Any, *, leave_out: Any = None) -> None:
    """Write a frozen dataclass so that a reader sees the old file or the whole new one.

    leave_out  fields that are not written, as pydantic's `exclude`
    """
    data = TypeAdapter(type(value)).dump_json(value, indent=1, exclude=leave_out)
    write_text(path, data.decode() + "\n")


def as_json(value: Any) -> Any:
    """The content that `write_document` writes, as dictionaries and lists."""
    return json.loads(TypeAdapter(type(value)).dump_json(value))


def read_document(path: Path, kind: type[T], what: str) -> T:
    """Read a file of `write_document`.

    what  "a repair of schema 1", for the message
    Raises EdgetlError, in one line, if the file is missing, damaged or of another schema.
    """
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except OSError as error:
        raise EdgetlError(f"{path}: cannot be read: {error.strerror}; build again") from error
    except ValidationError as error:
        raise EdgetlError(f"{path}: not {what}: {first_problem(error)}; build again") from error
