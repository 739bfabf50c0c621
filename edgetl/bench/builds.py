"""What is measured: one target's compiled builds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgetl.tasks.base import Answers, Task, load_task
from edgetl.tasks.detection.detections import Postprocess
from edgetl.types import Compiled, Precision, Preprocessing, Target


@dataclass(frozen=True)
class Candidate:
    """A compiled build: the folder that its backend wrote, and the values needed to open it.

    settings  with which it reports objects, for a detector
    """

    folder: Path
    compiled: Compiled
    settings: Postprocess | None = None

    @property
    def precision(self) -> Precision:
        return self.compiled.precision

    def size_bytes(self) -> int:
        return sum((self.folder / name).stat().st_size for name in self.compiled.files)


@dataclass(frozen=True)
class TargetBuilds:
    """One target's builds, and what they are compared with.

    task       of the network
    reference  float32 (len(val), ...), answers of the float torch network on the validation images in their order
    groups     of these images, if those of a group are alike and the task's intervals can allow for that
    in_float   names of the layers that INT8 leaves in float on purpose
    """

    target: Target
    candidates: tuple[Candidate, ...]
    preprocessing: Preprocessing
    reference: Answers
    task: Task = field(default_factory=lambda: load_task("classification"))
    groups: tuple[str, ...] | None = None
    in_float: frozenset[str] = frozenset()
