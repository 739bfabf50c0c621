"""The data stage: turns a recipe's `data` section into split.json."""

from __future__ import annotations

from pathlib import Path

from edgetl.data.split import make_split, write_split
from edgetl.recipes.recipe import Data
from edgetl.types import Progress

FILE = "split.json"
_NOTED = 5


def run(config: Data, base: Path, out: Path, progress: Progress) -> None:
    """Draw the split, decoding each of its images once, and write `out`/split.json. `out` exists.

    base   the folder in which the recipe's relative paths start
    Raises UsageError and DataError like `make_split`.
    """
    split = make_split(config, base, progress)
    for skipped in split.skipped[:_NOTED]:
        progress.note(f"skipped {skipped.path}: {skipped.reason}")
    if len(split.skipped) > _NOTED:
        progress.note(f"skipped {len(split.skipped) - _NOTED} more; all are listed in {FILE}")
    write_split(split, out / FILE)
