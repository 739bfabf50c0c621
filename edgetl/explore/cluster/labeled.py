"""Existing labels: CSV lists of `path,label` for some of the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgetl.data.names import first_of
from edgetl.data.scan import natural_key, scan
from edgetl.errors import DataError, UsageError
from edgetl.explore.cluster.kmeans import Labels
from edgetl.types import Sample


@dataclass(frozen=True)
class Labeled:
    """classes in natural order; indices (L,) into the images, ascending; labels (L,) into the classes."""

    classes: tuple[str, ...]
    indices: Labels
    labels: Labels


def read_labeled(lists: Sequence[Path], images: Sequence[Sample], copies: Mapping[str, str]) -> Labeled:
    """Match listed files with `images` by their path; `copies` maps further paths of an image to that of the image.

    Raises UsageError and DataError for an invalid list, a file that is not among the images, two labels for one image,
    or fewer than two classes.
    """
    number = {sample.path: index for index, sample in enumerate(images)}
    names: dict[int, str] = {}
    strangers: list[str] = []
    for path in lists:
        if not path.is_file():
            raise UsageError(f"{path}: no such file; expected a CSV list with the header `path,label`")
        listing = scan(path)
        for file, label in listing.files:
            index = number.get(copies.get(file, file))
            if index is None:
                strangers.append(f"{file} ({path.name})")
            elif names.setdefault(index, listing.classes[label]) != listing.classes[label]:
                raise DataError(
                    f"{path}: {file} is labeled `{listing.classes[label]}` here and `{names[index]}` before; keep one"
                )
    if strangers:
        raise DataError(f"labeled, but not among the readable images of the folder: {first_of(strangers)}")
    classes = tuple(sorted(set(names.values()), key=natural_key))
    if len(classes) < 2:
        raise DataError(f"{lists[0]}: expected labels of at least two classes; found {len(classes)}")
    indices = np.array(sorted(names), np.int64)
    return Labeled(classes, indices, np.array([classes.index(names[index]) for index in indices.tolist()], np.int64))
