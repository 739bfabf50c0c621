"""Small results of the search that are kept on disk, with the tools in the key."""

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


def kept(
    folder: Path, depends_on: Mapping[str, Any], compute: Callable[[], NDArray[np.float64]], progress: Progress
) -> NDArray[np.float64]:
    """What `compute` gives, of any shape: read from `folder` where it was computed before, else computed and kept.

    depends_on  JSON values; the versions of the tools are added here. A damaged file is computed again.
    """
    tools = {"torch": torch.__version__, "sklearn": sklearn.__version__, "numpy": np.__version__}
    found: NDArray[np.float64] = Cache(folder, progress.note).array({**depends_on, "tools": tools}, compute)
    return found


def contents(samples: Sequence[Sample]) -> list[list[str | int]]:
    """The pictures by content, and their labels, for `depends_on`."""
    return [[sample.sha256, sample.label] for sample in samples]
