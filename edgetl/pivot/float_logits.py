"""The files of the float network's logits, read without torch: a finished build only looks at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from edgetl.errors import EdgetlError
from edgetl.files.arrays import UnreadableArray, read_tensors

FILE_NAME = "float-logits.safetensors"

Logits = NDArray[np.float32]


def stored_logits(folder: Path) -> Logits:
    """(N, classes) float32 of all validation images in order, as `write_float_logits` wrote them."""
    return np.asarray(load_file(folder / FILE_NAME)["logits"], dtype=np.float32)


def read_reference(path: Path, images: int) -> Logits:
    """(images, classes) float32 of a pivot's validation images. Raises EdgetlError when they do not fit."""
    try:
        logits = read_tensors(path).get("logits", np.zeros(0))
    except UnreadableArray as error:
        raise EdgetlError(f"{path}: cannot read the reference logits: {error}") from error
    if logits.ndim != 2 or logits.shape[0] != images:
        raise EdgetlError(f"{path}: expected logits of {images} validation images; found shape {logits.shape}")
    return np.asarray(logits, dtype=np.float32)
