"""Arrays kept on disk by what they were computed from, so that an interrupted run continues where it stopped."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.digest import value_digest
from edgetl.store import disk_errors

Array = NDArray[Any]


class Cache:
    """One .npy file per array in `folder`; `shared` is part of every key."""

    def __init__(self, folder: Path, shared: Mapping[str, Any]) -> None:
        self._folder = folder
        self._shared = dict(shared)

    def array(self, key: Mapping[str, Any], compute: Callable[[], Array]) -> Array:
        """The stored array of this key (JSON values), or that of `compute`. A file that cannot be read is made anew."""
        path = self._folder / f"{value_digest({**self._shared, **key})[:32]}.npy"
        try:
            with path.open("rb") as stream:
                found: Array = np.load(stream, allow_pickle=False)
            return found
        except (OSError, ValueError, EOFError):
            values = compute()
        content = io.BytesIO()
        np.save(content, values, allow_pickle=False)
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(path.name + ".part")
            aside.write_bytes(content.getvalue())
            aside.replace(path)
        return values
