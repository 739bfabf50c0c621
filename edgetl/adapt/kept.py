"""Small results that are kept on disk under the digest of all that they depend on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from numpy.typing import NDArray

from edgetl.digest import value_digest
from edgetl.store import write_text
from edgetl.types import Sample


def kept(
    folder: Path, depends_on: Mapping[str, Any], compute: Callable[[], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """What `compute` gives, of any shape: read from `folder` where it was computed before, else computed and kept.

    depends_on  JSON values; the versions of the tools are added here. An unreadable file is computed again.
    """
    tools = {"torch": torch.__version__, "sklearn": sklearn.__version__, "numpy": np.__version__}
    path = folder / f"{value_digest({**depends_on, 'tools': tools})[:32]}.json"
    found = _read(path)
    if found is None:
        found = compute()
        path.parent.mkdir(parents=True, exist_ok=True)
        # repr of a float64 reads back to the same bits
        write_text(path, json.dumps({"values": found.tolist()}) + "\n")
    return found


def contents(samples: Sequence[Sample]) -> list[list[str | int]]:
    """The pictures by content, and their labels, for `depends_on`."""
    return [[sample.sha256, sample.label] for sample in samples]


def _read(path: Path) -> NDArray[np.float64] | None:
    try:
        return np.array(json.loads(path.read_text(encoding="utf-8"))["values"], np.float64)
    except (OSError, ValueError, KeyError, TypeError):
        return None
