"""The file of the float network's logits, read without torch: a finished build only looks at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

FILE_NAME = "float-logits.safetensors"

Logits = NDArray[np.float32]


def kept_logits(folder: Path) -> Logits:
    """(N, classes) float32 of all validation images in order, as `write_float_logits` wrote them."""
    return np.asarray(load_file(folder / FILE_NAME)["logits"], dtype=np.float32)
