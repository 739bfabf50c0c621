"""The record of a repair: plain frozen values, read and written as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field

from edgetl.files.documents import read_document, write_document
from edgetl.types import Interval

REPAIR_FILE = "repair.json"


@dataclass(frozen=True)
class Trial:
    """One network, measured on the target's own runtime, or for an absent CPU on the host, without times.

    layers       the layers in float
    score        the task's metric, a fraction; drop_points  against the float network, paired
    p50_ms       timed in the same rounds as the other trials; relative_time  over that of INT8, paired by round; both
                 None for an absent CPU
    not_integer  convolutions and matrix products that the runtime really computes in float; None for an absent CPU
    """

    layers: tuple[str, ...]
    passed: bool
    score: Annotated[Interval, Field(validation_alias=AliasChoices("score", "top1"))]  # top1: earlier versions
    drop_points: Interval
    p50_ms: Interval | None
    relative_time: Interval | None
    not_integer: int | None
    size_bytes: int


@dataclass(frozen=True)
class Repair:
    """The trials for one target, and the outcome.

    quantized  number of layers to choose from
    tries      number of sets that were evaluated
    layers     those of the chosen trial; None if none passed
    trials     INT8 itself first, then the tried sets, in order
    front      indices of the trials that no other beats in both accuracy and latency, by latency; for an absent CPU in
               both accuracy and layers in float
    metric     what the scores are: top-1 or AP
    """

    target: str
    quantized: int
    tries: int
    layers: tuple[str, ...] | None
    trials: tuple[Trial, ...]
    front: tuple[int, ...]
    sentence: str
    metric: str = "top-1"
    schema: Literal[1] = 1


def front(trials: Sequence[Trial]) -> tuple[int, ...]:
    """Indices of the trials for which no other is at least as accurate and as fast, and better in one; by latency.

    Without latencies, fewer layers in float count as faster.
    """
    order = sorted(range(len(trials)), key=lambda i: (_cost(trials[i]), -trials[i].score.value))
    found: list[int] = []
    for index in order:
        if not found or trials[index].score.value > trials[found[-1]].score.value:
            found.append(index)
    return tuple(found)


def _cost(trial: Trial) -> float:
    return trial.p50_ms.value if trial.p50_ms else len(trial.layers)


def write_repair(repair: Repair, path: Path) -> None:
    write_document(path, repair)


def read_repair(path: Path) -> Repair:
    """Raises EdgetlError if the file is missing or damaged."""
    return read_document(path, Repair, "a repair of schema 1")
