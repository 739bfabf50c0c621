"""Labeled files, and how they are split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

FrontName = Literal["image", "audio", "text", "series"]
ResizePolicy = Literal["squash", "crop", "letterbox", "letterbox-corner"]


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
Labels = tuple[int, ...]
Truth = int | Boxes | Labels
"""Of a classified image: the index of its class. Of one with objects: their boxes, none if it shows only background.
For several heads: the indices of its classes, one for each head that it is labeled for."""


def as_json(truth: Truth) -> int | list[int | list[float | int | bool]]:
    """For a digest or a file."""
    if isinstance(truth, int):
        return truth
    return [
        each if isinstance(each, int) else [each.x0, each.y0, each.x1, each.y1, each.label, each.ignore]
        for each in truth
    ]


def labels_of(truth: Truth) -> tuple[int, ...]:
    """The classes of an image, or those of its objects, one for each."""
    if isinstance(truth, int):
        return (truth,)
    return tuple(each if isinstance(each, int) else each.label for each in truth)


@dataclass(frozen=True)
class HeadClasses:
    """One of several heads on a backbone: it owns the logits `first` to `first + len(classes) - 1`.

    name     the column of its labels; classes  as the column has them
    """

    name: str
    first: int
    classes: tuple[str, ...]

    @property
    def columns(self) -> slice:
        """Its logits among all."""
        return slice(self.first, self.first + len(self.classes))

    @property
    def labels(self) -> tuple[str, ...]:
        """Its classes as the network's labels name them: `surface/scratched`."""
        return tuple(f"{self.name}/{each}" for each in self.classes)

    def own(self, truth: Truth) -> int:
        """The index in `classes` of an example's label; -1 without one."""
        end = self.first + len(self.classes)
        return next((each - self.first for each in labels_of(truth) if self.first <= each < end), -1)


def are_heads_of(heads: Sequence[HeadClasses], labels: Sequence[str]) -> bool:
    """Whether these are two or more heads with two or more classes, which together own all labels, in order."""
    first = 0
    for head in heads:
        if head.first != first or len(head.classes) < 2:
            return False
        first = head.columns.stop
    return len(heads) > 1 and tuple(label for head in heads for label in head.labels) == tuple(labels)


@dataclass(frozen=True)
class Sample:
    """One labeled example. `path` is absolute, of its file or of a row in a table (`edgetl.files.rows`); `sha256` is of
    the example's bytes."""

    path: str
    truth: Truth
    sha256: str

    @property
    def label(self) -> int:
        """The index of a classified image's class in `Split.classes`."""
        assert isinstance(self.truth, int)
        return self.truth

    @property
    def boxes(self) -> Boxes:
        """The objects in the image."""
        assert isinstance(self.truth, tuple)
        return tuple(each for each in self.truth if isinstance(each, Box))


@dataclass(frozen=True)
class Skipped:
    """A file that was found but not used, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Remark:
    """Something about the labels of an image that is used: an object that was clipped or left out."""

    path: str
    sentence: str


@dataclass(frozen=True)
class Trait:
    """Information that decoding a file lost or chose.

    kind   pages (`high` of them, the first is read), 16 bit (gray values from `low` to `high`, scaled by 1/257),
           16 bit colour (the high byte is read), channels (`high` stored, three are read), transparent (drawn over
           white), turned (by EXIF), converted (from the color mode in `detail`), profile (not sRGB: ignored).
           Of clips: channels (`high` stored, averaged), converted (from the kind of samples in `detail`)
    """

    path: str
    kind: Literal["pages", "16 bit", "16 bit colour", "channels", "transparent", "turned", "converted", "profile"]
    low: int = 0
    high: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Conflict:
    """One image, byte for byte, under several labels: `paths` and their `labels`. None of them is used."""

    paths: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Clips:
    """Of sounds: the rate of all files, and the length in samples of the shots and then of the validation clips."""

    rate_hz: int
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class Windows:
    """Of series: what the network's input is made from.

    channels   their names; numbers from 1 if the data has none
    period     usual step of the time stamps, in their unit; 0 without any
    lengths    in steps, of the shots and then of the validation windows
    mean, std  of each channel over all time steps of the shots; the std of a constant channel is 1
    """

    channels: tuple[str, ...]
    period: float
    lengths: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Split:
    """A few-shot split: `shots` are for training (and calibration), `val` only for validation. No file is in both.

    croppable  whether `resize: crop` is possible: no image is too elongated for it
    clips      None for everything but sounds, windows  for everything but series; the fields about resizing are for
               images
    front      what the examples are
    heads      which classes are whose, if there are several heads; then every truth is a tuple of labels
    """

    classes: tuple[str, ...]
    shots: tuple[Sample, ...]
    val: tuple[Sample, ...]
    skipped: tuple[Skipped, ...]
    resize: ResizePolicy
    resize_reason: str
    digest: str
    traits: tuple[Trait, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    croppable: bool = True
    remarks: tuple[Remark, ...] = ()
    clips: Clips | None = None
    front: FrontName = "image"
    windows: Windows | None = None
    heads: tuple[HeadClasses, ...] = ()
