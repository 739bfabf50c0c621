"""The arrays of an NPZ file, and the names of its classes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import DataError
from edgetl.files.file_kind import describe

_MAX_BYTES = 4_000_000_000  # of all arrays of a file
_MAX_JSON = 1_000_000


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays by name. Raises DataError."""
    try:
        with zipfile.ZipFile(path) as content:
            size = sum(each.file_size for each in content.infolist())
        if size > _MAX_BYTES:
            raise DataError(f"{path}: its arrays have {size} bytes; at most {_MAX_BYTES} are read; divide it")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or 'a disk error'}") from error
    except DataError:
        raise
    except Exception as error:  # zlib's, zipfile's and those of compiling an array's header
        kind = describe(path)
        found = "it is damaged, or has arrays of Python objects" if kind.kind in ("numpy", "unknown") else kind.sentence
        raise DataError(f"{path}: expected arrays in NPZ format: {found}") from error


def class_names(path: Path, arrays: Mapping[str, NDArray[Any]]) -> list[str]:
    """`classes` of the file, or of a `dataset.json` beside it; none for neither."""
    named = arrays.get("classes")
    if named is not None:
        return [str(name) for name in named.tolist()] if named.ndim == 1 and named.dtype.kind == "U" else []
    beside = path.parent / "dataset.json"
    try:
        content = json.loads(beside.read_text("utf-8")) if beside.stat().st_size <= _MAX_JSON else None
    except (OSError, ValueError, RecursionError):
        return []
    names = content.get("classes") if isinstance(content, dict) else None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []
