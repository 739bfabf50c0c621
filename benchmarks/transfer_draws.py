"""The draws of `transfer.py`: edgetl's own splits of the sets, the same for every method."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetl.data.split import make_split
from edgetl.files.digest import value_digest
from edgetl.recipes.data import Data
from edgetl.types import Sample, Split


@dataclass(frozen=True)
class Draw:
    """Draw `seed` of `shots` images per class from `folder`/train; all of `folder`/val validates."""

    folder: Path
    shots: int
    seed: int

    def section(self) -> dict[str, str | int]:
        """The `data` section of a recipe."""
        folder = self.folder.resolve()
        return {
            "train": str(folder / "train"),
            "val": str(folder / "val"),
            "shots": self.shots,
            "seed": self.seed,
        }

    def split(self) -> Split:
        """Raises UsageError if the set is missing, DataError for too few images."""
        return make_split(Data.model_validate(self.section()), self.folder)


def images_digest(split: Split) -> str:
    """16 hex digits that identify the training and validation images and their labels, in any order."""

    def content(samples: tuple[Sample, ...]) -> list[tuple[str, int]]:
        return sorted((sample.sha256, sample.label) for sample in samples)

    return value_digest({"shots": content(split.shots), "val": content(split.val)})[:16]
