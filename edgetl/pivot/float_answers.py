"""The files of the float network's answers, read without torch: a finished build only looks at them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file

from edgetl.errors import EdgetlError
from edgetl.files.arrays import UnreadableArray, read_tensors

if TYPE_CHECKING:
    from edgetl.tasks.base import Answers

FILE_NAME = "float-logits.safetensors"
REFERENCE_LOGITS = "reference.safetensors"
"""Logits that compiled networks are compared with: of the pivot, and of the quantize stage."""


def stored_answers(folder: Path, name: str) -> Answers:
    """(N, ...) float32 of all validation images in order, as `write_float_answers` wrote them. name  `Task.kept`"""
    return np.asarray(load_file(folder / FILE_NAME)[name], dtype=np.float32)


def read_reference(path: Path, name: str, images: int) -> Answers:
    """(images, ...) float32 of a pivot's validation images. Raises EdgetlError when they do not fit."""
    try:
        answers = read_tensors(path).get(name, np.zeros(0))
    except UnreadableArray as error:
        raise EdgetlError(f"{path}: cannot read the reference {name}: {error}") from error
    if answers.ndim < 2 or answers.shape[0] != images:
        raise EdgetlError(f"{path}: expected {name} of {images} validation examples; found shape {answers.shape}")
    return np.asarray(answers, dtype=np.float32)
