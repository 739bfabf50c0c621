"""Some validation examples with the predictions of a bundle and of the float network, as small inline images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.report.boxes import photo
from edgetl.report.texts.words import Word
from edgetl.tasks.classification.accuracy import answers
from edgetl.types import Sample

_SIDE = 128
_PER_GROUP = 10


@dataclass(frozen=True)
class Look:
    """How the page shows a file: `source` is a data URI of an image, or empty if the file can no longer be read. Of a
    clip `player` is a data URI to listen to, if the page has room for it, and `length` says how long it is. A text has
    `words` instead."""

    source: str
    player: str = ""
    length: str = ""
    words: tuple[Word, ...] = ()


@dataclass(frozen=True)
class Shown:
    """One example; probabilities are softmax."""

    look: Look
    file: str
    truth: str
    answer: str
    probability: float
    float_answer: str
    right: bool


@dataclass(frozen=True)
class Group:
    title: str
    found: int
    pictures: tuple[Shown, ...]


def choose_pictures(
    samples: Sequence[Sample],
    classes: Sequence[str],
    logits: NDArray[np.float32],
    reference: NDArray[np.float32],
    per_group: int = _PER_GROUP,
    look: Callable[[Path], Look] | None = None,
) -> tuple[Group, ...]:
    """Groups of examples: predicted differently from the float network, wrong like it (most certain first), right
    (classes in turn).

    samples    (N) in the order of logits and reference, both (N, classes) of the bundle and the float network.
    look       how a file is shown; None: as an image
    """
    answer, finite = answers(logits)
    reference_answer, _ = answers(reference)
    labels = np.array([sample.label for sample in samples])
    certainty = np.where(finite, _probabilities(logits).max(axis=1), 0.0)
    right = answer == labels
    by_certainty = np.argsort(-certainty, kind="stable")
    changed = [int(index) for index in by_certainty if answer[index] != reference_answer[index]]
    wrong = [int(index) for index in by_certainty if not right[index] and index not in set(changed)]
    fine = _in_turn([int(index) for index in np.flatnonzero(right)], labels)

    def shown(index: int) -> Shown:
        return Shown(
            look=(look or look_at)(Path(samples[index].path)),
            file=Path(samples[index].path).name,
            truth=classes[labels[index]],
            answer=classes[answer[index]] if finite[index] else "no finite answer",
            probability=float(certainty[index]),
            float_answer=classes[reference_answer[index]] if reference_answer[index] >= 0 else "no finite answer",
            right=bool(right[index]),
        )

    titles = (
        ("Predicted differently from the float network", changed),
        ("Wrong, like the float network, most certain first", wrong),
        ("Right, classes in turn", fine),
    )
    return tuple(
        Group(title, len(indices), tuple(shown(index) for index in indices[:per_group])) for title, indices in titles
    )


def look_at(path: Path) -> Look:
    """An image."""
    return Look(data_uri(path))


def data_uri(path: Path, side: int = _SIDE) -> str:
    """The image as a JPEG of at most `side` pixels inside a data URI; empty if it can no longer be read."""
    found = photo(path, side)
    return found.source if found else ""


def _probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    safe = np.where(np.isfinite(logits).all(axis=1, keepdims=True), logits, 0).astype(np.float64)
    shares = np.exp(safe - safe.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float64)


def _in_turn(indices: list[int], labels: NDArray[np.int64]) -> list[int]:
    turn: dict[int, int] = {}
    keyed = []
    for index in indices:
        label = int(labels[index])
        turn[label] = turn.get(label, 0) + 1
        keyed.append((turn[label], label, index))
    return [index for _, _, index in sorted(keyed)]
