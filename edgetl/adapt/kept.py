"""Caches small results of the search on disk, with tool versions in the key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from numpy.typing import NDArray

from edgetl.store.cache import Cache
from edgetl.types import Progress, Sample
from edgetl.types.data import as_json


def load_or_compute(
    folder: Path, depends_on: Mapping[str, Any], compute: Callable[[], NDArray[np.float64]], progress: Progress
) -> NDArray[np.float64]:
    """The result of `compute`, of any shape: read from `folder` if it was computed before, else computed and kept.

    depends_on  JSON values; tool versions are added here. A damaged file is computed again.
    """
    tools = {"torch": torch.__version__, "sklearn": sklearn.__version__, "numpy": np.__version__}
    found: NDArray[np.float64] = Cache(folder, progress.note).array({**depends_on, "tools": tools}, compute)
    return found


def contents(samples: Sequence[Sample]) -> list[list[Any]]:
    """The images by content, and their labels, for `depends_on`."""
    return [[sample.sha256, as_json(sample.truth)] for sample in samples]
