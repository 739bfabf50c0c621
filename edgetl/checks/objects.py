"""Checks on labeled objects: boxes that look wrong, and how many objects there are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.checks.model import BoxMark, CheckName, Finding, Picture, Suspect
from edgetl.checks.sizes import FEW_SHOTS, FEW_VAL
from edgetl.checks.subject import Subject, suspicion
from edgetl.data.names import first_of
from edgetl.data.split_objects import objects_by_class
from edgetl.fronts.image.decode import read_size
from edgetl.types import Box, ImagePreprocessing, Remark, ResizePolicy, Split
from edgetl.types.frames import frame_of

UNEVEN = 10.0
"""Objects of the most frequent class over those of the rarest, on either side, that give a warning."""
SAME_OBJECT = 0.9
"""Overlap (IoU) from which on two boxes are probably of one object."""
FEWEST_COMPARED = 10
"""Objects of a class from which on an outlier can be recognized."""
OUTLIER_SPREADS, OUTLIER_FACTOR = 6.0, 4.0
"""An outlier is so many standard deviations, estimated from the median deviation, and so many times from the median."""
SMALLEST_SIDE = 8.0
"""Pixels of the input: smaller objects cover about one position of the finest feature map, of stride 8."""
MANY_SMALL = 0.02
HALF_WIDTH_OF_ONE = 7.5
"""Half-width of the interval of a drop of AP, in points, times the root of the number of images: 5.7 to 7.5 for INT8
builds on 25 to 100 images of `bccd_detection`. Only for planning; the report has the interval itself."""
_LEAST_SPREAD = 0.05  # of logarithms: boxes drawn by hand differ by 5 %
_NORMAL = 1.4826  # standard deviation of a normal distribution over its median absolute deviation
_SHOWN = 24


@dataclass(frozen=True)
class Object:
    """A box of `sample`, an index of the subject's samples, in an image of (height, width) pixels."""

    sample: int
    box: Box
    height: int
    width: int

    @property
    def side(self) -> float:
        """Root of the share of the image that the box covers."""
        box = self.box
        return math.sqrt((box.x1 - box.x0) * (box.y1 - box.y0) / (self.height * self.width))

    @property
    def aspect(self) -> float:
        return (self.box.x1 - self.box.x0) / (self.box.y1 - self.box.y0)


def objects_of(subject: Subject) -> tuple[Object, ...]:
    """All objects of both sides that are not ignored. Opens the headers of the images."""
    found: list[Object] = []
    for index, sample in enumerate(subject.samples):
        if sample.boxes:
            height, width = read_size(Path(sample.path))
            found += [Object(index, box, height, width) for box in sample.boxes if not box.ignore]
    return tuple(found)


def boxes(subject: Subject, remarks: Sequence[Remark]) -> Finding:
    """Objects that were clipped or left out when the annotations were read."""
    if not remarks:
        return Finding(check="boxes", verdict="pass", sentence="every labeled object lies within its image")
    suspects = [Suspect(pictures=(Picture(path=each.path),), sentence=each.sentence) for each in remarks]
    named = [f"{subject.short(each.path)}: {each.sentence}" for each in remarks]
    return suspicion(
        "boxes",
        suspects,
        f"{_count(len(remarks), 'object')} clipped, repeated or left out: {first_of(named)}",
        remedy="correct the annotations",
    )


def outliers(subject: Subject, objects: Sequence[Object]) -> Finding:
    """Boxes of unusual size or shape for their class."""
    suspects: list[Suspect] = []
    for label in range(len(subject.classes)):
        mine = [each for each in objects if each.box.label == label]
        if len(mine) < FEWEST_COMPARED:
            continue
        sides, aspects = (_deviations([getattr(each, name) for each in mine]) for name in ("side", "aspect"))
        for each, (side, side_spreads), (aspect, aspect_spreads) in zip(mine, sides, aspects, strict=True):
            words = []
            if _is_far(side, side_spreads):
                words.append(f"its sides are {_times(side, 'as long')} as usual")
            if _is_far(aspect, aspect_spreads):
                words.append(f"its width over height is {_times(aspect, 'as large')} as usual")
            if words:
                sentence = f"`{subject.classes[label]}`: {' and '.join(words)}"
                suspects.append(_suspect(subject, each.sample, [each.box], sentence, max(side_spreads, aspect_spreads)))
    suspects.sort(key=lambda suspect: -(suspect.score or 0.0))
    return _found(
        "outliers",
        subject,
        suspects,
        "no box has an unusual size or shape for its class",
        "with an unusual size or shape for its class",
        "look at them: a box around several objects, a part of one, or the wrong class",
    )


def doubles(subject: Subject) -> tuple[Finding, Finding]:
    """Two boxes on what is probably one object: of one class, and of two."""
    one: list[Suspect] = []
    two: list[Suspect] = []
    for index, sample in enumerate(subject.samples):
        for first, second, overlap in _pairs([box for box in sample.boxes if not box.ignore]):
            names = [subject.classes[box.label] for box in (first, second)]
            sentence = f"`{names[0]}` and `{names[1]}` overlap by {100 * overlap:.0f} %"
            same = first.label == second.label
            (one if same else two).append(_suspect(subject, index, [first, second], sentence, overlap))
    return (
        _found(
            "doubles",
            subject,
            one,
            "no object has two boxes",
            f"of boxes of one class overlap by more than {100 * SAME_OBJECT:.0f} %: probably one object",
            "remove one of each pair",
            what="pair",
        ),
        _found(
            "two_classes",
            subject,
            two,
            "no object has two classes",
            f"of boxes of different classes overlap by more than {100 * SAME_OBJECT:.0f} %: probably one object",
            "keep the correct class; objects with several classes are not supported",
            what="pair",
        ),
    )


def tiny(subject: Subject, objects: Sequence[Object], size: tuple[int, int], resize: ResizePolicy) -> Finding:
    """Objects that are too small at the input size (height, width) to be seen well."""
    preprocessing = ImagePreprocessing(*size, resize, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    small: list[tuple[float, Object]] = []
    for each in objects:
        frame = frame_of(each.height, each.width, preprocessing)
        width = (each.box.x1 - each.box.x0) * frame.columns / each.width
        height = (each.box.y1 - each.box.y0) * frame.rows / each.height
        if min(width, height) < SMALLEST_SIDE:
            small.append((min(width, height), each))
    where = f"{size[1]}x{size[0]} pixels"
    share = len(small) / max(len(objects), 1)
    about = f"{len(small)} of {len(objects)} objects have a side of less than {SMALLEST_SIDE:g} pixels at {where}"
    numbers = {"objects": float(len(objects)), "small": float(len(small))}
    if share <= MANY_SMALL:
        return Finding(check="tiny", verdict="pass", sentence=about, numbers=numbers)
    small.sort(key=lambda item: item[0])
    suspects = [
        _suspect(subject, each.sample, [each.box], f"`{subject.classes[each.box.label]}`: {side:.1f} pixels", side)
        for side, each in small
    ]
    return suspicion(
        "tiny", suspects, about, remedy="raise backbone.input_size, or cut large images into parts"
    ).model_copy(update={"numbers": numbers})


def balance(split: Split, shots: int | str) -> Finding:
    """Objects of each class on both sides. shots  as the recipe asks"""
    trained, measured = (np.array(objects_by_class(side, len(split.classes))) for side in (split.shots, split.val))
    problems: list[str] = []
    for name, counts in (("training", trained), ("validation", measured)):
        known = np.flatnonzero(counts)
        most, least = known[counts[known].argmax()], known[counts[known].argmin()]
        if counts[most] > UNEVEN * counts[least]:
            problems.append(
                f"unbalanced {name} objects: {counts[most]} of `{split.classes[most]}`, "
                f"{counts[least]} of `{split.classes[least]}`"
            )
    wanted = shots if isinstance(shots, int) else FEW_SHOTS
    for name, counts, enough in (("training", trained, wanted), ("validation", measured, FEW_VAL)):
        few = [f"`{split.classes[label]}` has {counts[label]}" for label in np.flatnonzero(counts < enough)]
        if few:
            problems.append(f"fewer than {enough} {name} objects: {first_of(few)}")
    numbers = {
        "fewest_shots": float(trained.min()),
        "most_shots": float(trained.max()),
        "fewest_val": float(measured.min()),
        "most_val": float(measured.max()),
    }
    bare = [sum(not sample.boxes for sample in side) for side in (split.shots, split.val)]
    if not problems:
        about = (
            f"{trained.sum()} training and {measured.sum()} validation objects; {bare[0]} and {bare[1]} images "
            "without objects"
        )
        return Finding(check="balance", verdict="pass", sentence=about, numbers=numbers)
    return Finding(
        check="balance",
        verdict="warn",
        sentence="; ".join(problems),
        remedy="add images with objects of these classes; AP is the mean over classes, whatever their number",
        numbers=numbers,
    )


def precision(split: Split, max_drop_points: float | None) -> Finding:
    """Whether the validation images determine a drop of AP to within the gate `gates.max_drop_points`, roughly."""
    count = len(split.val)
    half = HALF_WIDTH_OF_ONE / math.sqrt(count)
    objects = sum(objects_by_class(split.val, len(split.classes)))
    about = (
        f"{count} validation images with {objects} objects determine a drop of AP to within roughly {half:.1f} points"
    )
    numbers = {"images": float(count), "objects": float(objects), "drop_half_width_points": half}
    if max_drop_points is None or half <= max_drop_points:
        return Finding(check="precision", verdict="pass", sentence=about, numbers=numbers)
    needed = math.ceil((HALF_WIDTH_OF_ONE / max_drop_points) ** 2) if max_drop_points else 0
    remedy = f"use about {needed} validation images, or set a wider gate" if needed else "set a wider gate"
    return Finding(
        check="precision",
        verdict="warn",
        sentence=f"{about}: wider than gates.max_drop_points: {max_drop_points:g}",
        remedy=remedy,
        numbers=numbers | ({"needed_images": float(needed)} if needed else {}),
    )


def examples(subject: Subject) -> tuple[Suspect, ...]:
    """The first training images with all their boxes, to see whether the boxes lie right."""
    shown = [index for index in range(subject.shots) if subject.samples[index].boxes][:_SHOWN]
    return tuple(
        _suspect(subject, index, subject.samples[index].boxes, _contents(subject, index), 0.0) for index in shown
    )


def _contents(subject: Subject, index: int) -> str:
    found = Counter(subject.classes[box.label] for box in subject.samples[index].boxes)
    return ", ".join(f"{count} {name}" for name, count in sorted(found.items()))


def _pairs(boxes: Sequence[Box]) -> Iterator[tuple[Box, Box, float]]:
    if len(boxes) < 2:
        return
    corners = np.array([(box.x0, box.y0, box.x1, box.y1) for box in boxes])
    overlaps = np.triu(_overlaps(corners), 1)
    for first, second in np.argwhere(overlaps > SAME_OBJECT).tolist():
        yield boxes[first], boxes[second], float(overlaps[first, second])


def _overlaps(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K, K) intersection over union."""
    ends = np.minimum(corners[:, None, 2:], corners[None, :, 2:])
    shared = np.maximum(ends - np.maximum(corners[:, None, :2], corners[None, :, :2]), 0.0).prod(axis=2)
    areas = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    ratio: NDArray[np.float64] = shared / (areas[:, None] + areas[None, :] - shared)
    return ratio


def _deviations(values: Sequence[float]) -> list[tuple[float, float]]:
    """Each value over the median, and by how many spreads its logarithm differs."""
    logs = np.log(np.array(values))
    off = logs - np.median(logs)
    spread = max(_NORMAL * float(np.median(np.abs(off))), _LEAST_SPREAD)
    return [(math.exp(each), abs(each) / spread) for each in off.tolist()]


def _is_far(ratio: float, spreads: float) -> bool:
    return spreads > OUTLIER_SPREADS and max(ratio, 1 / ratio) > OUTLIER_FACTOR


def _times(ratio: float, what: str) -> str:
    return f"{ratio:.1f} times {what}" if ratio > 1 else f"1/{1 / ratio:.1f} {what}"


def _suspect(subject: Subject, index: int, boxes: Sequence[Box], sentence: str, score: float) -> Suspect:
    marks = tuple(BoxMark(corners=(box.x0, box.y0, box.x1, box.y1), label=subject.classes[box.label]) for box in boxes)
    picture = subject.picture(index).model_copy(update={"boxes": marks})
    return Suspect(pictures=(picture,), sentence=sentence, score=score)


def _found(
    check: CheckName,
    subject: Subject,
    suspects: Sequence[Suspect],
    none: str,
    some: str,
    remedy: str,
    *,
    what: str = "box",
) -> Finding:
    if not suspects:
        return Finding(check=check, verdict="pass", sentence=none)
    count = _count(len(suspects), what)
    return suspicion(check, suspects, f"{count} {some}: {subject.named(suspects)}", remedy=remedy)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 'es' if what == 'box' else 's'}"
