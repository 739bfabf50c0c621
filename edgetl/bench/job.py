"""One target's compiled builds and the images to measure them on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetl.bench.gates import Choose
from edgetl.recipes.recipe import Bench, Gates
from edgetl.types import Compiled, Precision, Preprocessing, Sample, Target


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
class BenchJob:
    """One target's builds and the data to measure them on.

    val        the validation images, never used for training or calibration
    reference  safetensors file with "logits" (len(val), classes): the float torch network, in the order of `val`
    gates, choose  determine which build ships; under emulation that one runs on all emulated images of the recipe. A
               gate on p99 takes more runs.
    labels     class names
    """

    target: Target
    candidates: tuple[Candidate, ...]
    val: tuple[Sample, ...]
    preprocessing: Preprocessing
    reference: Path
    config: Bench
    gates: Gates
    choose: Choose = "fastest"
    seed: int = 0
    labels: tuple[str, ...] = ()
