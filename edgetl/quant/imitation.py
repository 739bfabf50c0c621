"""How far a network's outputs are from those of the float network that it imitates, as a loss and as a share of equal
answers, for each task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from edgetl.pivot.adapted import outputs_of
from edgetl.tasks.base import TaskName
from edgetl.types import HeadClasses

Outputs = Tensor | tuple[Tensor, ...]

_SURE = 0.25
_EDGE = 1e-6


class Imitation(Protocol):
    def loss(self, student: Outputs, teacher: Outputs, temperature: float) -> Tensor:
        """A scalar with gradients."""
        ...

    def agreement(self, student: Outputs, teacher: Outputs) -> float:
        """Share of equal classes."""
        ...


def imitation_for(task: TaskName, heads: Sequence[HeadClasses] = ()) -> Imitation:
    if heads:
        return _Heads(tuple(head.columns for head in heads))
    return _Objects() if task == "detection" else _Classes()


class _Classes:
    """Logits (N, classes)."""

    def loss(self, student: Outputs, teacher: Outputs, temperature: float) -> Tensor:
        return distillation_loss(outputs_of(student)[0], outputs_of(teacher)[0], temperature)

    def agreement(self, student: Outputs, teacher: Outputs) -> float:
        return float((outputs_of(student)[0].argmax(1) == outputs_of(teacher)[0].argmax(1)).float().mean())


class _Heads(_Classes):
    """Logits of several heads side by side: the mean over the heads."""

    def __init__(self, columns: Sequence[slice]) -> None:
        self._columns = columns

    def loss(self, student: Outputs, teacher: Outputs, temperature: float) -> Tensor:
        pairs = self._pairs(student, teacher)
        return torch.stack([super(_Heads, self).loss(*pair, temperature) for pair in pairs]).mean()

    def agreement(self, student: Outputs, teacher: Outputs) -> float:
        pairs = self._pairs(student, teacher)
        return sum(super(_Heads, self).agreement(*pair) for pair in pairs) / len(pairs)

    def _pairs(self, student: Outputs, teacher: Outputs) -> list[tuple[Tensor, Tensor]]:
        ours, theirs = outputs_of(student)[0], outputs_of(teacher)[0]
        return [(ours[:, columns], theirs[:, columns]) for columns in self._columns]


class _Objects:
    """Boxes (N, A, 4) and scores (N, A, C)."""

    def loss(self, student: Outputs, teacher: Outputs, temperature: float) -> Tensor:
        """Binary cross entropy of all scores, plus the distance of boxes as a share of their size; both over the
        teacher's objects, each place weighted by its best score. There is no temperature."""
        (boxes, scores), (true_boxes, true_scores) = outputs_of(student), outputs_of(teacher)
        weight = true_scores.amax(dim=2)
        total = weight.sum().clamp(min=1.0)
        cross_entropy = functional.binary_cross_entropy(scores.clamp(_EDGE, 1 - _EDGE), true_scores, reduction="sum")
        sides = (true_boxes[..., 2:] - true_boxes[..., :2]).clamp(min=1.0)
        distance = ((boxes - true_boxes) / torch.cat([sides, sides], dim=2)).abs().mean(dim=2)
        return (cross_entropy + (distance * weight).sum()) / total

    def agreement(self, student: Outputs, teacher: Outputs) -> float:
        """Over the places where the teacher is sure of an object."""
        scores, true_scores = outputs_of(student)[1], outputs_of(teacher)[1]
        sure = true_scores.amax(dim=2) >= _SURE
        if not bool(sure.any()):
            return 1.0
        return float((scores.argmax(2) == true_scores.argmax(2))[sure].float().mean())


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """temperature**2 * KL(softmax(teacher / temperature) || softmax(student / temperature)), mean over the batch."""
    return temperature**2 * functional.kl_div(
        functional.log_softmax(student / temperature, dim=1),
        functional.log_softmax(teacher / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
