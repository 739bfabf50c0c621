"""Results that are computed once and cached on disk under the digest of all their inputs, and checked when read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.files.digest import value_digest
from edgetl.files.durable import Damaged, damaged, read_sealed, write_sealed
from edgetl.store.results import disk_errors

Array = NDArray[Any]


@dataclass(frozen=True)
class Cache:
    """One file per result in `folder`. A damaged one is computed again, and `note` gets one line about it.

    shared  part of every key
    """

    folder: Path
    note: Callable[[str], None]
    shared: Mapping[str, Any] = field(default_factory=dict)

    def array(self, key: Mapping[str, Any], compute: Callable[[], Array]) -> Array:
        """The array stored under `key` (JSON values), or the result of `compute`; equal to the bit."""
        return _array(self._once(key, lambda: _npy(compute())))

    def json(self, key: Mapping[str, Any], compute: Callable[[], Any]) -> Any:
        """The same for a JSON value. Numbers keep all bits, tuples become lists."""
        return json.loads(self._once(key, lambda: json.dumps(compute()).encode()))

    def _once(self, key: Mapping[str, Any], compute: Callable[[], bytes]) -> bytes:
        path = self.folder / f"{value_digest({**self.shared, **key})[:32]}.kept"
        try:
            return read_sealed(path)
        except FileNotFoundError:
            pass
        except (Damaged, OSError):
            self.note(damaged(path))
        data = compute()
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_sealed(path, data)
        return data


def _npy(values: Array) -> bytes:
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    return content.getvalue()


def _array(data: bytes) -> Array:
    values: Array = np.load(io.BytesIO(data), allow_pickle=False)
    return values
