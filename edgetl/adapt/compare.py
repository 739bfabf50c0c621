"""Compares candidates: paired, on the same held-out images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgetl.adapt.finetune import Trained
from edgetl.adapt.guards import Judged, judged
from edgetl.tasks.classification.folds import Fold
from edgetl.tasks.classification.heads.temperature import best_scale
from edgetl.types import HeadClasses

_DECLINE = 1.1  # if the final held-out loss over the best exceeds this, the best epoch is taken instead of the last


def chosen_epoch(trials: Sequence[Trained], epochs: int) -> int:
    """The last epoch that all trials reached, or the epoch with the lowest held-out loss in the second half of the
    schedule if the loss rose by a tenth since; 0 if a trial diverged.

    epochs  of the whole schedule
    The first half does not count: its learning rate is so high that predictions change from epoch to epoch, and one
    training does not reach the average of the folds (docs/decisions/0009-few-shot-search.md).
    """
    if not trials or any(trial.diverged for trial in trials):
        return 0
    losses = mean_losses(trials)
    settled = min(epochs // 2, len(losses) - 1)
    best = settled + int(np.argmin(losses[settled:]))
    return len(losses) if losses[-1] <= _DECLINE * losses[best] else best + 1


def mean_losses(trials: Sequence[Trained]) -> list[float]:
    """Held-out loss after epoch 1, 2, ..., the mean over the folds, for the epochs that all of them reached."""
    return [_mean_loss(trials, epoch) for epoch in range(min(len(trial.history) for trial in trials))]


def judged_trials(
    name: str,
    trials: Sequence[Trained],
    epochs: int,
    folds: Sequence[Fold],
    labels: NDArray[np.int64],
    heads: Sequence[HeadClasses] = (),
) -> tuple[Judged, NDArray[np.int64]] | None:
    """A fine-tuned candidate on the held-out images of its folds, and their indices; None if it diverged.

    epochs  of the whole schedule
    labels  (N,) of all images; with several heads (N, heads), -1 for none
    Its logits are scaled by one factor, like those of the heads, so that cross entropies are comparable.
    """
    epoch = chosen_epoch(trials, epochs)
    if not epoch:
        return None
    logits = np.concatenate([trial.logits[epoch - 1] for trial in trials]).astype(np.float64)
    images = np.concatenate([np.array(fold.held_out) for fold in folds[: len(trials)]])
    if not np.isfinite(logits).all():
        return None
    truth = labels[images]
    if heads:
        return joined([(images[rows], each) for rows, each in by_head(name, logits, truth, heads)]), images
    return judged(name, logits * best_scale(logits, truth), truth), images


def by_head(
    name: str, logits: NDArray[np.float64], labels: NDArray[np.int64], heads: Sequence[HeadClasses]
) -> list[tuple[NDArray[np.int64], Judged]]:
    """Each head with labels of logits (N, C) against labels (N, heads), and the rows that are labeled for it."""
    found = []
    for number, head in enumerate(heads):
        rows = np.flatnonzero(labels[:, number] >= 0)
        if not rows.size:
            continue
        own, truth = logits[rows, head.columns], labels[rows, number]
        found.append((rows, judged(name, own * best_scale(own, truth), truth)))
    return found


def joined(parts: Sequence[tuple[NDArray[np.int64], Judged]]) -> Judged:
    """The predictions of several heads as one candidate. parts  of each head: its images, and itself on them"""
    images = np.concatenate([each for each, _ in parts])
    order = np.argsort(images, kind="stable")
    right, loss = (np.concatenate([getattr(each, key) for _, each in parts])[order] for key in ("right", "loss"))
    return Judged(parts[0][1].name, right, loss, images[order])


def subset(whole: Judged, images: NDArray[np.int64]) -> Judged:
    if whole.images is not None:
        own = np.isin(whole.images, images)
        return Judged(whole.name, whole.right[own], whole.loss[own], whole.images[own])
    return Judged(whole.name, whole.right[images], whole.loss[images])


def _mean_loss(trials: Sequence[Trained], epoch: int) -> float:
    losses = [trial.history[epoch].held_out_loss for trial in trials]
    return float(np.mean([math.inf if loss is None or not math.isfinite(loss) else loss for loss in losses]))
