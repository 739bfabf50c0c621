"""`adapt.json` records how a network was adapted; `run.json` beside it, how long that took. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from edgetl.files.documents import Number, read_document, write_document
from edgetl.store.results import RUN_RECORD
from edgetl.types import Interval, ResizePolicy
from edgetl.types.findings import Audit

ADAPT_FILE = "adapt.json"
SEVERAL_HEADS = "several heads"
"""The guard that compares heads together and alone."""

State = Literal["judged", "dropped", "over budget", "diverged", "failed", "not judged: nothing could be held out"]


@dataclass(frozen=True)
class Candidate:
    """A head or a way of fine-tuning; values that were not measured are None. Accuracies are fractions with 95 %
    intervals.

    folds, images      held-out ones on which it was judged
    seconds            of all folds together
    difference_points  its accuracy minus that of the best head, on the same images
    """

    name: str
    kind: Literal["head", "finetune"]
    setting: str
    state: State
    folds: int = 0
    seconds: float | None = None
    images: int = 0
    top1: float | None = None
    top1_low: float | None = None
    top1_high: float | None = None
    loss: float | None = None
    difference_points: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    chosen: bool = False


@dataclass(frozen=True)
class Guard:
    """The result of one guard. `numbers` are the basis of `sentence`; their names say fractions, points or nats."""

    guard: str
    verdict: Literal["pass", "warn", "rolled back", "failed", "not measured"]
    sentence: str
    numbers: Mapping[str, Number]


@dataclass(frozen=True)
class ResizeCandidate:
    """Held-out accuracy (a fraction) and cross entropy of frozen features under one policy."""

    policy: ResizePolicy
    top1: float
    loss: Number


@dataclass(frozen=True)
class ResizeChoice:
    """The policy, one sentence why, and the policies that were compared."""

    policy: ResizePolicy
    reason: str
    candidates: tuple[ResizeCandidate, ...] = ()


@dataclass(frozen=True)
class LearningCurve:
    """shots_per_class, top1: mean shots over the classes, and the measured accuracies, fractions of the same `images`.

    doubled_points  top-1 points that twice as many shots would add by the trend, with a 95 % interval
    """

    head: str
    images: int
    shots_per_class: tuple[float, ...]
    top1: tuple[float, ...]
    doubled_points: Interval
    sentence: str


@dataclass(frozen=True)
class Budget:
    """Minutes on two CPU cores: the limit for the search, and the estimate."""

    minutes: float
    estimated_minutes: float
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """How a network was adapted.

    head              the fitted head; candidates  all that were tried
    folds             of the cross-validation; 0 if nothing could be held out
    epochs            of fine-tuning on all shots, 0 for a head alone; then learning_rate and trained_parts are None
    source, licence   of the pretrained weights
    seconds, threads  None if only adapt.json was read
    """

    schema: Literal[2] = 2
    strategy: Literal["probe", "finetune"]
    reason: str
    head: str
    resize: ResizeChoice | None
    candidates: tuple[Candidate, ...]
    guards: tuple[Guard, ...]
    learning_curve: LearningCurve | None
    folds: int
    held_out_images: int
    budget: Budget
    epochs: int
    learning_rate: float | None
    trained_parts: tuple[str, ...] | None
    augment: str
    audit: Audit
    source: str
    licence: str
    frozen_parameters: int
    trained_parameters: int
    device: str
    seconds: float | None = None
    threads: int | None = None

    @property
    def chosen(self) -> Candidate | None:
        return next((candidate for candidate in self.candidates if candidate.chosen), None)

    @property
    def judged(self) -> str:
        """What was held out and judged, in words: with several heads every label of a shot by itself."""
        return "labels" if any(guard.guard == SEVERAL_HEADS for guard in self.guards) else "shots"


@dataclass(frozen=True)
class HeldOut:
    """Mean cross entropy in nats, and the fraction right."""

    loss: Number
    top1: float


@dataclass(frozen=True)
class Epoch:
    """One pass over the training shots; `held_out` is None if nothing was held out."""

    epoch: int
    learning_rate: float
    train_loss: Number
    held_out: HeldOut | None


@dataclass(frozen=True)
class History:
    """The epochs of every fine-tuning that was tried, fold by fold, and of the training on all shots."""

    trials: Mapping[str, tuple[tuple[Epoch, ...], ...]] = field(default_factory=dict)
    final: tuple[Epoch, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AdaptRecord(Adaptation):
    """An adaptation with the epochs of every training."""

    history: History


@dataclass(frozen=True)
class Times:
    """Values that differ between equal runs: the seconds in total, per candidate and per epoch, and the threads."""

    seconds: float
    threads: int
    candidates: Mapping[str, float | None]
    trials: Mapping[str, tuple[tuple[float, ...], ...]]
    final: tuple[float, ...]


def write_adapt(record: AdaptRecord, times: Times, folder: Path) -> None:
    """Write adapt.json, which is equal for equal runs, and run.json."""
    taken = {"seconds": True, "threads": True, "candidates": {"__all__": {"seconds"}}}
    write_document(folder / ADAPT_FILE, record, leave_out=taken)
    write_document(folder / RUN_RECORD, times)


def read_adapt(folder: Path) -> AdaptRecord:
    """Read the record in the folder of an adapt stage, with its times. Raises EdgetlError."""
    record = read_document(folder / ADAPT_FILE, AdaptRecord, "a record of adaptation of schema 2")
    times = read_document(folder / RUN_RECORD, Times, "the times of an adaptation")
    timed = tuple(replace(each, seconds=times.candidates.get(each.name)) for each in record.candidates)
    return replace(record, candidates=timed, seconds=times.seconds, threads=times.threads)
