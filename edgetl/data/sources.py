"""The listings of a recipe's `data` section: training and validation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetl.data.background import lent, with_windows
from edgetl.data.head_sources import read_heads
from edgetl.data.object_sources import read_object_sources
from edgetl.data.scan import Listing, locate, scan
from edgetl.fronts.audio.window import USUAL_S
from edgetl.recipes.data import Data
from edgetl.recipes.recipe import Task
from edgetl.types import FrontName


@dataclass(frozen=True)
class Sources:
    """`val` is `train` itself if the rest of its images are the validation set."""

    train: Listing
    val: Listing


def read_sources(config: Data, base: Path, front: FrontName = "image", window_s: float = USUAL_S) -> Sources:
    """Both listings; `base` is the folder in which the recipe's relative paths start, `window_s` how long windows of
    background noise are. Raises UsageError and DataError like `scan`."""
    if config.labels:
        found = read_heads(config, base, front)
        return Sources(found.train.listing, found.val.listing)
    images = None if config.images is None else locate(base, config.images)
    train_path = locate(base, config.train)
    group = config.group_by or ""
    train = scan(train_path, columns=config.columns, images=images, part="train", front=front, group=group)
    if front == "audio":
        train = with_windows(train, window_s)
    if config.val is None and not train.measures:
        return Sources(train, train)
    val_path = train_path if config.val is None else locate(base, config.val)
    val = scan(val_path, columns=config.columns, images=images, part="val", front=front, group=group)
    if front != "audio":
        return Sources(train, val)
    return Sources(train, lent(train, with_windows(val, window_s)))


def read_files(task: Task, config: Data, base: Path, front: FrontName = "image") -> Sources:
    """The files of a recipe of any task: `read_sources`, or the images that annotations name, without classes of
    their own."""
    if task == "classification":
        return read_sources(config, base, front)
    found = read_object_sources(config, base)
    train = found.train.listing()
    return Sources(train, train if found.val is found.train else found.val.listing())
