"""What the observers of a network have seen, as one file: their exact counts and the parts of the key they belong to.

One safetensors file: nothing in it is executed, a truncated or altered one is refused, and it can be shipped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import DataError
from edgetl.files.digest import value_digest
from edgetl.files.durable import write_bytes
from edgetl.quant.observers import Histogram, Observer

_SCHEMA = 2
_METADATA = "edgetl"
_MAX_FILE_BYTES = 1 << 30

Arrays = Mapping[str, NDArray[Any]]
Parts = Mapping[str, Any]


@dataclass(frozen=True)
class Observed:
    """The state of every observer of a network after `batches` of `total` batches.

    parts   what the observations depend on, JSON values (`edgetl.quant.ranges`)
    places  names of the observing modules, in the order of the graph
    arrays  extremes float64 (places, 2), and for histograms zeros int64 (places,), width float64 (places,),
            counts int64 (places, 2 * observers.BINS)
    """

    parts: Parts
    places: tuple[str, ...]
    batches: int
    total: int
    arrays: Arrays

    @property
    def complete(self) -> bool:
        return self.batches == self.total


def pack(observers: Sequence[Observer]) -> dict[str, NDArray[Any]]:
    """The states of observers of one kind as arrays; see `Observed`."""
    arrays: dict[str, NDArray[Any]] = {
        "extremes": np.array([[each.low, each.high] for each in observers], np.float64).reshape(-1, 2)
    }
    histograms = [each for each in observers if isinstance(each, Histogram)]
    if histograms:
        arrays["zeros"] = np.array([each.zeros for each in histograms], np.int64)
        arrays["width"] = np.array([each.width for each in histograms], np.float64)
        arrays["counts"] = np.stack([each.counts for each in histograms])
    return arrays


def unpack(observers: Sequence[Observer], arrays: Arrays) -> None:
    """Put packed states into fresh observers of the same kind. Raises DataError if the arrays are not theirs."""
    expected = {name: (array.shape, array.dtype) for name, array in pack(observers).items()}
    found = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    if found != expected:
        raise DataError(f"observed ranges of another kind: expected {_shapes(expected)}; found {_shapes(found)}")
    if not _sound(arrays):
        raise DataError("observed ranges hold impossible numbers: not finite, negative counts, or low above high")
    for index, each in enumerate(observers):
        each.low, each.high = (float(value) for value in arrays["extremes"][index])
        if isinstance(each, Histogram):
            each.zeros, each.width = int(arrays["zeros"][index]), float(arrays["width"][index])
            each.counts = arrays["counts"][index].copy()


def write_observed(path: Path, observed: Observed) -> None:
    """Write the file so that a reader sees the old one or the whole new one; equal values give equal bytes."""
    from safetensors.numpy import save

    record = {
        "schema": _SCHEMA,
        "parts": observed.parts,
        "places": list(observed.places),
        "batches": observed.batches,
        "total": observed.total,
    }
    sealed = record | {"sha256": _digest(record, observed.arrays)}
    # one entry: the order of several is not fixed
    data = save(dict(observed.arrays), metadata={_METADATA: json.dumps(sealed, sort_keys=True)})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data)


def read_observed(path: Path) -> Observed:
    """Read a file of `write_observed`. Raises DataError if it is missing, truncated, altered or another kind of
    file."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise DataError(f"{path}: larger than {_MAX_FILE_BYTES} bytes; these are not observed ranges")
        with safe_open(path, framework="numpy") as file:
            record = json.loads((file.metadata() or {})[_METADATA])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        if record["schema"] != _SCHEMA:
            raise ValueError(f"of schema {record['schema']}, where this version reads {_SCHEMA}")
        if record.pop("sha256") != _digest(record, arrays):
            raise ValueError("its digest is not that of its content")
        batches, total = int(record["batches"]), int(record["total"])
        if not 0 <= batches <= total:
            raise ValueError("it counts more batches than there are")
        return Observed(dict(record["parts"]), tuple(map(str, record["places"])), batches, total, arrays)
    except OSError as error:
        raise DataError(f"{path}: cannot read the observed ranges: {error.strerror or error}") from error
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged, or not observed ranges of edgetl ({error}); calibrate again") from error


def _digest(record: Mapping[str, Any], arrays: Arrays) -> str:
    digest = hashlib.sha256(value_digest(record).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _sound(arrays: Arrays) -> bool:
    extremes = arrays["extremes"]
    if not np.isfinite(extremes).all() or (extremes[:, 0] > 0).any() or (extremes[:, 1] < 0).any():
        return False
    if "counts" not in arrays:
        return True
    width = arrays["width"]
    return bool(np.isfinite(width).all() and all((arrays[name] >= 0).all() for name in ("zeros", "width", "counts")))


def _shapes(arrays: Mapping[str, tuple[Any, Any]]) -> str:
    return ", ".join(f"{name} {dtype} {shape}" for name, (shape, dtype) in sorted(arrays.items())) or "nothing"
