"""Chooses the head for the frozen features by cross-validation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgetl.adapt.candidates import judged_row
from edgetl.adapt.compare import joined
from edgetl.adapt.episode import Task
from edgetl.adapt.guards import Judged, judged, lead
from edgetl.adapt.record import Candidate
from edgetl.adapt.trials import HeadChoice, HeadChoices
from edgetl.tasks.classification.folds import Fold
from edgetl.tasks.classification.heads.by_name import held_out_logits, prepare
from edgetl.tasks.classification.heads.temperature import best_scale

# The first one was the best of five heads on the mean of six sets, two draws each. Ridge is excluded: it fits few shots
# exactly, with weights so large that INT8 rounding moved its logits by a sixth of their range
# (docs/decisions/0009-few-shot-search.md).
_AUTO = (
    HeadChoice("logistic", True),
    HeadChoice("logistic", False),
    HeadChoice("cosine", False),
    HeadChoice("ncm", False),
)
# vectors of texts: few shots choose the penalty badly, which costs about a point (docs/decisions/0030-text-networks.md)
_AUTO_OF_TEXTS = (HeadChoice("firm", False), *_AUTO)
# views of sounds stand for other recordings (docs/decisions/0025-audio-front.md)
_AUTO_OF_SOUNDS = (HeadChoice("views", True), *_AUTO)
_CLEAR_LEAD = 1.0  # standard errors over the first


@dataclass(frozen=True)
class JudgedHead:
    """One head on every shot, each held out once. `judged` is None if nothing could be held out. Several heads on a
    backbone are judged together."""

    choice: HeadChoice | HeadChoices
    judged: Judged | None
    seconds: float

    @property
    def loss(self) -> float:
        return float(self.judged.loss.mean()) if self.judged else 0.0


def judge_heads(task: Task, features: NDArray[np.float32], folds: Sequence[Fold]) -> tuple[JudgedHead, ...]:
    """All heads that the recipe allows, the chosen one first. features (V, N, F), view 0 plain.

    The first head of the table is chosen unless another leads it clearly: heads differ by an image or two, and the best
    one on a few held-out images is mostly lucky. The others follow by cross entropy. Without folds only the first is
    returned.
    """
    if task.heads:
        return (_judge_several(task, features, folds),)
    choices = _choices(task)
    if not folds:
        return (JudgedHead(choices[0], None, 0.0),)
    with task.progress.task("heads on frozen features", total=len(choices)) as advance:
        heads: list[JudgedHead] = []
        for choice in choices:
            try:
                heads.append(_judge(task, features, folds, choice))
            except (ValueError, np.linalg.LinAlgError) as error:
                if choice is choices[-1] and not heads:
                    raise
                task.progress.note(f"{choice.title}: skipped, cannot be fitted: {error}")
                advance(1)
                continue
            found = heads[-1].judged
            advance(1, f"{choice.title}: held-out {found.right.mean():.1%}" if found else "")
    usual = heads[0].judged
    assert usual is not None
    leads = [lead(head.judged, usual) if head.judged else 0.0 for head in heads]
    best = heads[int(np.argmax(leads))] if max(leads) >= _CLEAR_LEAD else heads[0]
    return best, *sorted((head for head in heads if head is not best), key=lambda head: head.loss)


def _judge_several(task: Task, features: NDArray[np.float32], folds: Sequence[Fold]) -> JudgedHead:
    """The best head for each of several, each chosen as if it were alone."""
    best = [
        judge_heads(task.of_head(head), features[:, labels >= 0], folds_of_labeled(folds, labels))[0]
        for head, labels in zip(task.heads, task.labels.T, strict=True)
    ]
    choice = HeadChoices(
        tuple(head.name for head in task.heads),
        tuple(each.choice for each in best if isinstance(each.choice, HeadChoice)),
    )
    images = [np.flatnonzero(labels >= 0) for labels in task.labels.T]
    parts = [(rows, each.judged) for rows, each in zip(images, best, strict=True) if each.judged is not None]
    together = replace(joined(parts), name=choice.title) if folds and len(parts) == len(best) else None
    return JudgedHead(choice, together, sum(each.seconds for each in best))


def folds_of_labeled(folds: Sequence[Fold], labels: NDArray[np.int64]) -> tuple[Fold, ...]:
    """Folds of all images as those of the labeled ones, by their place among them."""
    place = np.cumsum(labels >= 0) - 1

    def own(indices: Sequence[int]) -> tuple[int, ...]:
        return tuple(int(place[index]) for index in indices if labels[index] >= 0)

    return tuple(Fold(own(fold.train), own(fold.held_out)) for fold in folds)


def head_rows(heads: Sequence[JudgedHead], folds: int, *, chosen: bool) -> list[Candidate]:
    """The report's rows; the first head is marked if it is `chosen`."""
    best = heads[0].judged
    if best is None:
        return [Candidate(heads[0].choice.title, "head", "", "not judged: nothing could be held out", chosen=chosen)]
    return [
        judged_row(
            head.judged,
            None if head is heads[0] else best,
            kind="head",
            setting="frozen features",
            state="judged",
            folds=folds,
            seconds=head.seconds,
            chosen=chosen and head is heads[0],
        )
        for head in heads
        if head.judged is not None
    ]


def _judge(task: Task, features: NDArray[np.float32], folds: Sequence[Fold], choice: HeadChoice) -> JudgedHead:
    start = time.monotonic()
    shots = prepare(choice.seen(features), task.labels, task.num_classes)
    logits = held_out_logits(choice.name, shots, folds, task.config.seed)
    # the best factor for these images, as for fine-tuned candidates, which would otherwise lead in cross entropy
    logits = logits * best_scale(logits, task.labels)
    return JudgedHead(choice, judged(choice.title, logits, task.labels), time.monotonic() - start)


def _choices(task: Task) -> tuple[HeadChoice, ...]:
    wanted = task.config.head
    usual = {"text": _AUTO_OF_TEXTS, "audio": _AUTO_OF_SOUNDS}.get(task.front, _AUTO)
    choices = usual if wanted == "auto" else (HeadChoice(wanted, True), HeadChoice(wanted, False))
    return tuple(dict.fromkeys(HeadChoice(choice.name, choice.augmented and task.views > 0) for choice in choices))
