"""Labeled objects and places without any, as examples for the probe: what a detector's backbone has to tell apart."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.fronts.image.decode import read_size
from edgetl.types import Boxes, Sample

_MOST, _MOST_TIMES = 40, 4  # objects of a class, or this many times those of the rarest one
_TRIES = 50  # places that are drawn until one is free
_MOST_COVERED = 0.1  # of a place without an object

Regions = NDArray[np.float32]


@dataclass(frozen=True)
class Examples:
    """K regions of the shots.

    regions  of each shot, (k, 4) corners in pixels of the image; labels  (K,) of all in this order: the class of an
             object, and the number of classes for a place without any
    groups   (K,): the shot, or its group (a video, a site); those of one are held out together
    """

    regions: tuple[Regions, ...]
    labels: NDArray[np.int64]
    groups: tuple[Hashable, ...]

    @property
    def count(self) -> int:
        """Of labels, background included if there is any."""
        return int(self.labels.max()) + 1


def examples_of(shots: Sequence[Sample], classes: int, groups: Sequence[Hashable] | None, seed: int) -> Examples:
    """The objects of the shots, without ignored regions, and about as many places without one as a class has objects.

    A frequent class gives at most 40 objects, or four times as many as the rarest one has: else it alone would decide.
    groups  of the shots; None: each is its own. Raises UnreadableImage.
    """
    generator = np.random.default_rng(seed)
    chosen = _objects(shots, classes, generator)
    each_class = sum(map(len, chosen)) / max(classes, 1)
    places = max(1, round(each_class / max(len(shots), 1)))
    sizes = [read_size(Path(shot.path)) for shot in shots]
    sides = _sides(chosen, sizes)
    regions, labels, members = [], [], list[Hashable]()
    for number, (shot, boxes, size) in enumerate(zip(shots, chosen, sizes, strict=True)):
        free = _background(shot.boxes, size, sides, places, generator)
        corners = [[box.x0, box.y0, box.x1, box.y1] for box in boxes]
        regions.append(np.array([*corners, *free], np.float32).reshape(-1, 4))
        labels += [*(box.label for box in boxes), *(classes for _ in free)]
        members += [number if groups is None else groups[number]] * len(regions[-1])
    return Examples(tuple(regions), np.array(labels, np.int64), tuple(members))


def _objects(shots: Sequence[Sample], classes: int, generator: np.random.Generator) -> list[Boxes]:
    """Of each shot, in its order."""
    every = [(number, place) for number, shot in enumerate(shots) for place, box in enumerate(shot.boxes)]
    every = [(number, place) for number, place in every if not shots[number].boxes[place].ignore]
    labels = np.array([shots[number].boxes[place].label for number, place in every], np.int64)
    counts = np.bincount(labels, minlength=classes)
    most = max(_MOST, _MOST_TIMES * int(counts[counts > 0].min(initial=_MOST)))
    taken: set[tuple[int, int]] = set()
    for label in range(classes):
        mine = np.flatnonzero(labels == label)
        taken |= {every[index] for index in generator.permutation(mine)[:most].tolist()}
    return [
        tuple(box for place, box in enumerate(shot.boxes) if (number, place) in taken)
        for number, shot in enumerate(shots)
    ]


def _sides(chosen: Sequence[Boxes], sizes: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """(n, 2): width and height of every object as shares of its image's."""
    return np.array(
        [
            [(box.x1 - box.x0) / width, (box.y1 - box.y0) / height]
            for boxes, (height, width) in zip(chosen, sizes, strict=True)
            for box in boxes
        ]
    ).reshape(-1, 2)


def _background(
    labeled: Boxes, size: tuple[int, int], sides: NDArray[np.float64], places: int, generator: np.random.Generator
) -> list[list[float]]:
    """Corners of at most `places` regions as large as objects that labeled ones, ignored too, hardly cover."""
    height, width = size
    taken = np.array([[box.x0, box.y0, box.x1, box.y1] for box in labeled]).reshape(-1, 4)
    found: list[list[float]] = []
    for _ in range(_TRIES if len(sides) else 0):
        if len(found) == places:
            break
        side = sides[generator.integers(len(sides))] * (width, height)
        corner = generator.uniform(0, 1, 2) * np.maximum(np.array([width, height]) - side, 0)
        region = np.concatenate([corner, corner + side])
        shared = np.minimum(taken[:, 2:], region[2:]) - np.maximum(taken[:, :2], region[:2])
        covered = np.maximum(shared, 0).prod(axis=1).sum()
        if covered <= _MOST_COVERED * side.prod():
            found.append(region.tolist())
    return found
