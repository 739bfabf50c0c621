"""What is measured: one target's compiled builds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.types import Compiled, Precision, Preprocessing, Target


@dataclass(frozen=True)
class Candidate:
    """A compiled build: the folder that its backend wrote, and the values needed to open it."""

    folder: Path
    compiled: Compiled

    @property
    def precision(self) -> Precision:
        return self.compiled.precision

    def size_bytes(self) -> int:
        return sum((self.folder / name).stat().st_size for name in self.compiled.files)


@dataclass(frozen=True)
class TargetBuilds:
    """One target's builds, and what they are compared with.

    reference  float32 (len(val), classes), logits of the float torch network on the validation images in their order
    """

    target: Target
    candidates: tuple[Candidate, ...]
    preprocessing: Preprocessing
    reference: NDArray[np.float32]
