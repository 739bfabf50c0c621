"""What is known about an example: its class, or the objects in it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """One labeled object. Corners in pixels of the upright image as decoded: x to the right, y down, x0 < x1, y0 < y1.

    label   index into `Split.classes`
    ignore  a crowd or a region that is hard to label: neither found nor missed objects count there
    """

    x0: float
    y0: float
    x1: float
    y1: float
    label: int
    ignore: bool = False


Boxes = tuple[Box, ...]
Truth = int | Boxes
"""Of a classified image: the index of its class. Of one with objects: their boxes, none if it shows only background."""


def as_json(truth: Truth) -> int | list[list[float | int | bool]]:
    """For a digest or a file."""
    if isinstance(truth, int):
        return truth
    return [[box.x0, box.y0, box.x1, box.y1, box.label, box.ignore] for box in truth]


def labels_of(truth: Truth) -> tuple[int, ...]:
    """The class of an image, or those of its objects, one for each."""
    return (truth,) if isinstance(truth, int) else tuple(box.label for box in truth)
