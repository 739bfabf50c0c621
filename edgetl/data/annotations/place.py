"""Compares the objects of an image with the decoded image: clips them, leaves out what cannot be one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgetl.data.annotations.model import Annotation, Corners, Mark, Unit
from edgetl.errors import DataError
from edgetl.fronts.image.examine import Seen
from edgetl.types import Box, Boxes

_SLACK_PIXELS, _SLACK_SHARE = 1.0, 0.005
"""A box may lie so much outside of its image without a remark: tools round, and some count pixels from 1."""


@dataclass(frozen=True)
class Placed:
    """Boxes in pixels of the upright image, and a sentence for each object that was changed or left out."""

    boxes: Boxes
    remarks: tuple[str, ...]


def place(annotation: Annotation, unit: Unit, classes: Sequence[str], seen: Seen) -> Placed:
    """The objects of a decoded image.

    Partly outside: clipped. Outside, or without area: left out. Listed again, with the same class and corners: used
    once. Raises DataError if the file states another size than the image has.
    """
    _refuse_size(annotation, seen)
    scale = (seen.width, seen.height) if unit == "fractions" else (1, 1)
    boxes: dict[Box, None] = {}
    remarks: list[str] = []
    for mark in annotation.marks:
        x0, y0, x1, y1 = (value * scale[axis % 2] for axis, value in enumerate(mark.corners))
        inside = max(x0, 0.0), max(y0, 0.0), min(x1, float(seen.width)), min(y1, float(seen.height))
        box = Box(*inside, mark.label, mark.ignore)
        problem = _problem((x0, y0, x1, y1), box, seen)
        if not problem and box in boxes:
            problem = "is listed again; used once"
        elif not problem or problem.endswith("clipped"):
            boxes[box] = None
        if problem:
            remarks.append(f"{mark.name} (`{classes[mark.label]}`) {problem}")
    return Placed(tuple(boxes), tuple(remarks))


def counted(marks: Sequence[Mark] | Boxes) -> list[int]:
    """The classes of the objects that are not ignored."""
    return [each.label for each in marks if not each.ignore]


def _problem(corners: Corners, box: Box, seen: Seen) -> str:
    x0, y0, x1, y1 = corners
    if x1 <= x0 or y1 <= y0:
        return "has no area; left out"
    if box.x1 <= box.x0 or box.y1 <= box.y0:
        return f"lies outside of the image of {seen.width}x{seen.height} pixels; left out"
    cut = max(box.x0 - x0, x1 - box.x1), max(box.y0 - y0, y1 - box.y1)
    slack = [max(_SLACK_PIXELS, _SLACK_SHARE * side) for side in (seen.width, seen.height)]
    return "lies partly outside of the image; clipped" if cut[0] > slack[0] or cut[1] > slack[1] else ""


def _refuse_size(annotation: Annotation, seen: Seen) -> None:
    if annotation.size in (None, (seen.height, seen.width)) or annotation.size is None:
        return
    height, width = annotation.size
    turned = any(trait.kind == "turned" for trait in seen.traits) and (width, height) == (seen.height, seen.width)
    advice = (
        "its boxes belong to the image before it is turned by EXIF; save the image upright and label it again"
        if turned
        else "boxes would be shifted; use the image that was labeled"
    )
    raise DataError(
        f"{annotation.source}: states a size of {width}x{height} pixels for {annotation.path}, which has "
        f"{seen.width}x{seen.height}; {advice}"
    )
