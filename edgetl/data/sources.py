"""The listings of a recipe's `data` section: training and validation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetl.data.scan import Listing, locate, scan
from edgetl.recipes.recipe import Data


@dataclass(frozen=True)
class Sources:
    """`val` is `train` itself if the rest of its images are the validation set."""

    train: Listing
    val: Listing


def read_sources(config: Data, base: Path) -> Sources:
    """Both listings; `base` is the folder in which the recipe's relative paths start. Raises UsageError and DataError
    like `scan`."""
    images = None if config.images is None else locate(base, config.images)
    train_path = locate(base, config.train)
    train = scan(train_path, columns=config.columns, images=images, part="train")
    if config.val is None and not train.measures:
        return Sources(train, train)
    val_path = train_path if config.val is None else locate(base, config.val)
    return Sources(train, scan(val_path, columns=config.columns, images=images, part="val"))
