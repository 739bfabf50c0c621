"""Some validation images with their labeled objects and those that the float network and a build report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.report.boxes import DrawnBox, Photo, photo
from edgetl.tasks.detection.curves import pair
from edgetl.tasks.detection.detections import Detections
from edgetl.tasks.detection.match import match
from edgetl.tasks.detection.working_point import utility
from edgetl.types import Box, Boxes, Sample

_PER_GROUP = 6
_MOST_CAPTIONS = 10  # in one image; more would hide it


@dataclass(frozen=True)
class Seen:
    """What one network reports in an image: all its boxes, how many are right, and the sentence below it."""

    title: str
    boxes: tuple[DrawnBox, ...]
    sentence: str


@dataclass(frozen=True)
class ShownImage:
    """photo  None if the file can no longer be read; sides  of one or two networks"""

    photo: Photo | None
    file: str
    sides: tuple[Seen, ...]


@dataclass(frozen=True)
class ImageGroup:
    """found  images of this kind, of which some are shown"""

    title: str
    found: int
    images: tuple[ShownImage, ...]


@dataclass(frozen=True)
class Both:
    """The objects that a build and the float network find in N images, and the score at which both report them."""

    build: Sequence[Detections]
    floats: Sequence[Detections]
    threshold: float


def choose_images(
    samples: Sequence[Sample], classes: Sequence[str], found: Both, build_name: str, per_group: int = _PER_GROUP
) -> tuple[ImageGroup, ...]:
    """Images on which the two differ most, side by side, then those on which the build is worst."""
    count = len(classes)
    as_truths = [_as_truths(each, found.threshold) for each in found.floats]
    alike = utility(match(found.build, as_truths, count), found.threshold)
    quality = utility(match(found.build, [sample.boxes for sample in samples], count), found.threshold)
    differ = [int(index) for index in np.argsort(alike, kind="stable") if alike[index] < 1]
    side_by_side = differ[:per_group]
    poor = [int(index) for index in np.argsort(quality, kind="stable") if quality[index] < 1]
    worst = [index for index in poor if index not in side_by_side]

    def shown(index: int, *, pairwise: bool) -> ShownImage:
        sample = samples[index]
        sides = [_seen("Float network", found.floats[index], sample.boxes, classes, found.threshold)] * pairwise
        sides.append(_seen(build_name, found.build[index], sample.boxes, classes, found.threshold))
        path = Path(sample.path)
        return ShownImage(photo(path), path.name, tuple(sides))

    return (
        ImageGroup(
            "Reported differently from the float network, most different first",
            len(differ),
            tuple(shown(index, pairwise=True) for index in side_by_side),
        ),
        ImageGroup(
            "Objects missed or wrong, lowest F1 first",
            len(poor),
            tuple(shown(index, pairwise=False) for index in worst[:per_group]),
        ),
    )


def _as_truths(found: Detections, threshold: float) -> Boxes:
    kept = found.scores >= np.float32(threshold)
    rows = zip(found.boxes[kept].tolist(), found.labels[kept].tolist(), strict=True)
    return tuple(Box(x0, y0, x1, y1, label) for (x0, y0, x1, y1), label in rows)


def _seen(title: str, found: Detections, truths: Boxes, classes: Sequence[str], threshold: float) -> Seen:
    paired = pair(found, truths, threshold)
    region = paired.on_region(truths)
    own = np.array([*(box.label for box in truths), -1], np.int64)
    right = (own[paired.of] == found.labels[paired.shown]) & (paired.of >= 0)
    counted = [at for at, box in enumerate(truths) if not box.ignore]
    missed = [at for at in counted if at not in paired.of]
    reported = [
        _reported(found, index, of, truths, classes, right=bool(good))
        for index, of, good, left_out in zip(paired.shown.tolist(), paired.of.tolist(), right, region, strict=True)
        if not left_out
    ]
    labeled = [_labeled(truths[at], classes, missed=at in missed) for at in counted]
    boxes = (*labeled, *reported)
    if sum(bool(box.caption) for box in boxes) > _MOST_CAPTIONS:
        boxes = tuple(replace(box, caption="") for box in boxes)
    return Seen(title, boxes, _sentence(right & ~region, region, len(missed), len(counted)))


def _labeled(box: Box, classes: Sequence[str], *, missed: bool) -> DrawnBox:
    name, corners = classes[box.label], (box.x0, box.y0, box.x1, box.y1)
    if missed:
        return DrawnBox.of("missed", corners, f"missed: {name}", name)
    return DrawnBox.of("truth", corners, f"labeled: {name}")


def _reported(
    found: Detections, index: int, of: int, truths: Boxes, classes: Sequence[str], *, right: bool
) -> DrawnBox:
    said = f"{classes[int(found.labels[index])]} {found.scores[index]:.2f}"
    corners = _finite(found.boxes[index])
    if right:
        return DrawnBox.of("right", corners, said)
    where = f", labeled {classes[truths[of].label]}" if of >= 0 else ", nothing labeled there"
    return DrawnBox.of("wrong", corners, said + where, said)


def _finite(corners: NDArray[np.float32]) -> list[float]:
    """A build may report corners that are not finite; they are drawn at the edge."""
    return [float(value) for value in np.nan_to_num(corners, nan=0.0, posinf=1e5, neginf=-1e5)]


def _sentence(right: NDArray[np.bool_], region: NDArray[np.bool_], missed: int, labeled: int) -> str:
    wrong = int((~right & ~region).sum())
    return f"{int(right.sum())} of {labeled} found, {missed} missed, {wrong} wrong"
