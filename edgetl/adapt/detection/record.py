"""`adapt.json` of a detector: how it was adapted; `run.json` beside it, how long that took. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from edgetl.adapt.record import ADAPT_FILE, Budget, Guard
from edgetl.files.documents import Number, read_document, write_document
from edgetl.store.results import RUN_RECORD
from edgetl.types import Interval, ResizePolicy
from edgetl.types.findings import Audit

State = Literal["judged", "over budget", "diverged", "not judged: nothing could be held out"]


@dataclass(frozen=True)
class Candidate:
    """A way of training; values that were not measured are None.

    setting       what is trained, at what rate, from which views
    views         images that are seen in a training
    folds, images held-out ones on which it was judged;  seconds  of all folds together
    utility       the mean over images of F1, itself the mean over overlaps from 0.5 to 0.95, at the best threshold
    difference    its utility minus that of the best way with a frozen backbone, on the same images
    """

    name: str
    setting: str
    state: State
    views: int
    folds: int = 0
    seconds: float | None = None
    images: int = 0
    utility: Interval | None = None
    difference: Interval | None = None
    chosen: bool = False


@dataclass(frozen=True)
class Unlabeled:
    """An object that was surely found in a held-out shot, where none is labeled. image  path; corners  x0, y0, x1, y1
    in its pixels"""

    image: str
    label: str
    score: float
    corners: tuple[float, float, float, float]


@dataclass(frozen=True)
class Stretch:
    """Some steps of a training: up to which one, and the mean loss."""

    step: int
    loss: Number


@dataclass(frozen=True)
class History:
    """Every training that was tried, fold by fold, and the training on all shots."""

    trials: Mapping[str, tuple[tuple[Stretch, ...], ...]] = field(default_factory=dict)
    final: tuple[Stretch, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DetectorAdaptation:
    """How a detector was adapted.

    candidates        all ways of training that were tried;  reason  why one was chosen
    folds             whose images were held out; 0 if nothing could be
    objects           labeled ones in the shots, by class
    score_threshold   the best one on the held-out shots, None without any
    steps, batch_size, learning_rate  of the training on all shots
    source, licence   of the pretrained weights
    unlabeled         objects that are perhaps not labeled in the shots, best score first
    seconds, threads  None if only adapt.json was read
    """

    schema: Literal[1] = 1
    task: Literal["detection"] = "detection"
    family: str
    reason: str
    candidates: tuple[Candidate, ...]
    guards: tuple[Guard, ...]
    folds: int
    held_out_images: int
    objects: Mapping[str, int]
    score_threshold: float | None
    budget: Budget
    steps: int
    batch_size: int
    learning_rate: float
    augment: str
    resize: ResizePolicy
    audit: Audit
    source: str
    licence: str
    frozen_parameters: int
    trained_parameters: int
    device: str
    unlabeled: tuple[Unlabeled, ...] = ()
    seconds: float | None = None
    threads: int | None = None

    @property
    def chosen(self) -> Candidate:
        return next(candidate for candidate in self.candidates if candidate.chosen)


@dataclass(frozen=True, kw_only=True)
class DetectorAdaptRecord(DetectorAdaptation):
    """An adaptation with the losses of every training."""

    history: History


@dataclass(frozen=True)
class Times:
    """Values that differ between equal runs: the seconds in total, per candidate and of the last training, threads."""

    seconds: float
    threads: int
    candidates: Mapping[str, float | None]
    final: float


def write_detector_adapt(record: DetectorAdaptRecord, times: Times, folder: Path) -> None:
    """Write adapt.json, which is equal for equal runs, and run.json."""
    taken = {"seconds": True, "threads": True, "candidates": {"__all__": {"seconds"}}}
    write_document(folder / ADAPT_FILE, record, leave_out=taken)
    write_document(folder / RUN_RECORD, times)


def read_detector_adapt(folder: Path) -> DetectorAdaptRecord:
    """Read the record in the folder of an adapt stage, with its times. Raises EdgetlError."""
    record = read_document(folder / ADAPT_FILE, DetectorAdaptRecord, "a record of a detector's adaptation of schema 1")
    times = read_document(folder / RUN_RECORD, Times, "the times of an adaptation")
    timed = tuple(replace(each, seconds=times.candidates.get(each.name)) for each in record.candidates)
    return replace(record, candidates=timed, seconds=times.seconds, threads=times.threads)
