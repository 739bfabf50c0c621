"""What `quantization_edgetl.py` is told, and what it makes: builds and their predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.files.digest import file_digest, value_digest
from edgetl.tasks.classification.accuracy import Accuracy
from edgetl.types import Compiled, Target

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Making:
    """How everything is made. Paths are absolute.

    threads    of training and of engines whose accuracy is taken
    overrides  KEY=VALUE of every recipe
    emulated, forecast  validation images under emulation, and with saturation computed
    version    of edgetl's code: stages that other code made are made again
    adapt_version  of the code behind the float network
    """

    data: Path
    weights: Path
    work: Path
    threads: int
    overrides: tuple[str, ...]
    emulated: int
    forecast: int
    version: str
    adapt_version: str


@dataclass(frozen=True)
class Made:
    """A build that edgetl's backend can open. `note`: what is special about it."""

    folder: Path
    compiled: Compiled
    target: Target
    seconds: float | None
    note: str = ""

    @property
    def model(self) -> Path:
        return self.folder / self.compiled.model

    def size_bytes(self) -> int:
        return sum((self.folder / name).stat().st_size for name in self.compiled.files)

    def digest(self) -> str:
        """Equal where the same computation is opened: OpenVINO has one file for float32 and bfloat16."""
        files = {name: file_digest(self.folder / name) for name in self.compiled.files}
        opened = [self.compiled.backend, self.compiled.precision, dict(self.target.options)]
        return value_digest([files, opened])


@dataclass(frozen=True)
class Answers:
    """Logits (images, classes) of a build, what its operators ran in, and its accuracy.

    chosen  indices of the images in `Split.val`
    """

    logits: Logits
    placement: str
    chosen: NDArray[np.int64]
    right: NDArray[np.bool_]
    reference_right: NDArray[np.bool_]
    accuracy: Accuracy
