"""The benefit of more shots: the head on frozen features, fitted on a quarter, a half and all of the shots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgetl.adapt.record import LearningCurve
from edgetl.tasks.classification.folds import Fold
from edgetl.tasks.classification.heads.by_name import held_out_logits, prepare
from edgetl.types import Interval

_SHARES = (0.25, 0.5, 1.0)
_LEAST_SHOTS = 4  # in the smallest class of a fold: fewer cannot be halved twice
_RESAMPLES = 500
_WORTH_POINTS = 0.5


def learning_curve(
    name: str,
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    num_classes: int,
    folds: Sequence[Fold],
    seed: int,
) -> LearningCurve | None:
    """The head `name` on features (N, F) of plain views, evaluated on each fold's held-out images after fitting on
    parts of the others; None if there are too few shots for that.

    A power law of the number of shots is fitted to the measured errors, as is usual for learning curves of classifiers
    (Hestness et al. 2017, arXiv:1712.00409). The interval comes from resampling the held-out images.
    """
    if not folds or min(_fewest(fold.train, labels, num_classes) for fold in folds) < _LEAST_SHOTS:
        return None
    shots, wrong, counts = prepare(features[None], labels, num_classes), [], []
    for share in _SHARES:
        part = [Fold(_share(fold.train, labels, share, seed), fold.held_out) for fold in folds]
        wrong.append(held_out_logits(name, shots, part, seed).argmax(1) != labels)
        counts.append(float(np.mean([len(fold.train) for fold in part])) / num_classes)
    doubled = _doubled(np.stack(wrong), np.array(counts), len(labels) / num_classes, seed)
    top1 = tuple(float(1 - row.mean()) for row in wrong)
    sentence = _sentence(counts, top1, doubled, len(labels) / num_classes)
    return LearningCurve(name, len(labels), tuple(counts), top1, doubled, sentence)


def _fewest(train: Sequence[int], labels: NDArray[np.int64], num_classes: int) -> int:
    return int(np.bincount(labels[list(train)], minlength=num_classes).min())


def _share(train: Sequence[int], labels: NDArray[np.int64], share: float, seed: int) -> tuple[int, ...]:
    """The same share of every class, rounded up; a smaller share is a subset of a larger one."""
    generator, chosen = np.random.default_rng(seed), list[int]()
    indices = np.array(train)
    for label in np.unique(labels[indices]):
        own = generator.permutation(indices[labels[indices] == label])
        chosen += own[: int(np.ceil(share * len(own)))].tolist()
    return tuple(sorted(chosen))


def _doubled(wrong: NDArray[np.bool_], counts: NDArray[np.float64], present: float, seed: int) -> Interval:
    """Points gained from `present` to twice as many shots per class. wrong (S, N), counts (S,) shots per class."""
    images = wrong.shape[1]
    drawn = np.random.default_rng(seed).integers(images, size=(_RESAMPLES, images))
    errors = np.concatenate([wrong.sum(1)[None], wrong[:, drawn].sum(2).T]).astype(np.float64)
    errors = (errors + 0.5) / (images + 1)  # no error in these images does not mean none in general
    logs = np.log(counts) - np.log(counts).mean()
    slope = np.minimum((np.log(errors) * logs).sum(1) / (logs**2).sum(), 0.0)
    now = errors[:, -1] * (present / counts[-1]) ** slope
    gained = 100 * now * (1 - 2.0**slope)
    low, high = np.quantile(gained[1:], (0.025, 0.975))
    return Interval(float(gained[0]), float(min(low, gained[0])), float(max(high, gained[0])))


def _sentence(counts: Sequence[float], top1: Sequence[float], doubled: Interval, present: float) -> str:
    measured = ", ".join(f"{100 * share:.1f} % with {count:.0f}" for count, share in zip(counts, top1, strict=True))
    basis = f"by the trend ({measured} shots per class, new head alone, held-out)"
    little = "little, " if doubled.value < _WORTH_POINTS else ""
    points = f"{little}about {doubled.value:.1f} points ({doubled.low:.1f} to {doubled.high:.1f})"
    return f"Twice as many shots ({2 * present:.0f} per class) would add {points}, {basis}."
