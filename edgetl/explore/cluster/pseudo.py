"""Labels for unlabeled images, only if the labeled ones prove that they would be right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.explore.cluster.kmeans import Labels, Readable
from edgetl.explore.select.held_out import fit_probe, out_of_fold
from edgetl.tasks.classification.heads.head import Floats, Head
from edgetl.tasks.classification.heads.temperature import best_scale

PRECISION = 0.95
CONFIDENCE = 0.95
FEWEST = math.ceil(math.log(1 - CONFIDENCE) / math.log(PRECISION))
"""Held-out predictions, all right, that prove the precision: with fewer, no threshold can be proven."""

_CHUNK = 2048


@dataclass(frozen=True)
class Threshold:
    """The lowest trusted confidence, or the reason why there is none.

    proven, right  held-out predictions that reach it, and how many of them are right
    """

    value: float | None
    proven: int
    right: int
    reason: str


@dataclass(frozen=True)
class PseudoLabels:
    """indices into the images, their labels and confidences, most certain first inside each class; empty with a
    reason if nothing can be trusted."""

    indices: tuple[int, ...]
    labels: tuple[int, ...]
    confidences: tuple[float, ...]
    threshold: Threshold
    reason: str


def pseudo_labels(
    rows: Readable, indices: Labels, labels: Labels, classes: Sequence[str], *, per_class: int, seed: int = 0
) -> PseudoLabels:
    """Label images by a ridge probe if its confidence reaches a threshold proven on held-out labels.

    indices, labels  (L,) the labeled rows. Every class gets the same number, at most `per_class`: the most certain.
    The proof holds for images like the labeled ones; images labeled because they are typical make it optimistic.
    """
    features = rows.read(indices.tolist())
    held = out_of_fold(features, labels, len(classes), seed=seed)
    sharpness = best_scale(held, labels)
    confidences, answers = confidence(held, sharpness)
    threshold = choose_threshold(confidences, answers == labels)
    if threshold.value is None:
        return PseudoLabels((), (), (), threshold, threshold.reason)
    probe = fit_probe(features, labels, len(classes))
    rest = np.setdiff1d(np.arange(len(rows)), indices)
    sure, answer = _answers(rows, rest, probe, sharpness)
    return _balanced(rest, sure, answer, classes, threshold, per_class)


def confidence(logits: Floats, sharpness: float) -> tuple[Floats, Labels]:
    """Largest softmax probability (N,) of logits (N, classes), sharpened by a factor, and its class."""
    shares = np.exp(sharpness * (logits - logits.max(1, keepdims=True)))
    return shares.max(1) / shares.sum(1), logits.argmax(1).astype(np.int64)


def choose_threshold(confidences: Floats, right: NDArray[np.bool_]) -> Threshold:
    """The lowest confidence above which held-out predictions are proven right in PRECISION of the cases.

    The proof is the exact one-sided lower limit (Clopper and Pearson 1934, Biometrika 26:404-413) at CONFIDENCE.
    Thresholds are tried downward from the strictest that could pass, and the first failure ends the search, so trying
    many does not invalidate the proof (fixed sequence testing; Angelopoulos et al. 2021, "Learn then Test",
    arXiv:2110.01052).
    """
    order = np.argsort(-confidences, kind="stable")
    sorted_confidences, hits = confidences[order], np.cumsum(right[order])
    if len(order) < FEWEST:
        return Threshold(None, 0, 0, f"{len(order)} labeled images; at least {FEWEST} are needed for a proof")
    best: Threshold | None = None
    for count in range(FEWEST, len(order) + 1):
        hit = int(hits[count - 1])
        if not proves(hit, count):
            break
        if count == len(order) or sorted_confidences[count] < sorted_confidences[count - 1]:
            best = Threshold(float(sorted_confidences[count - 1]), count, hit, "")
    if best is None:
        hit = int(hits[FEWEST - 1])
        return Threshold(
            None,
            0,
            0,
            f"of the {FEWEST} most certain held-out predictions {hit} are right; that does not prove "
            f"{100 * PRECISION:.0f} % precision: label more images",
        )
    return best


def proves(hits: int, count: int) -> bool:
    """Whether the lower limit of hits / count is at least PRECISION: P(at least `hits` right | PRECISION) is at most
    1 - CONFIDENCE."""
    # the chance of at most count - hits errors, each with probability 1 - PRECISION; in logarithms, counts are large
    wrong, right = math.log(1 - PRECISION), math.log(PRECISION)
    chance = math.fsum(
        math.exp(
            math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1) + k * wrong + (count - k) * right
        )
        for k in range(count - hits + 1)
    )
    return chance <= 1 - CONFIDENCE


def _answers(rows: Readable, rest: Labels, probe: Head, sharpness: float) -> tuple[Floats, Labels]:
    sure, answer = np.empty(len(rest)), np.empty(len(rest), np.int64)
    for start in range(0, len(rest), _CHUNK):
        part = slice(start, start + _CHUNK)
        sure[part], answer[part] = confidence(probe.logits(rows.read(rest[part].tolist())), sharpness)
    return sure, answer


def _balanced(
    rest: Labels, sure: Floats, answer: Labels, classes: Sequence[str], threshold: Threshold, per_class: int
) -> PseudoLabels:
    assert threshold.value is not None
    order = np.argsort(-sure, kind="stable")
    order = order[sure[order] >= threshold.value]
    members = [order[answer[order] == label] for label in range(len(classes))]
    count = min(per_class, *(len(part) for part in members))
    if count == 0:
        empty = [f"`{name}`" for name, part in zip(classes, members, strict=True) if not len(part)]
        return PseudoLabels((), (), (), threshold, f"no image is certain enough for {', '.join(empty[:5])}")
    kept = np.concatenate([part[:count] for part in members])
    return PseudoLabels(
        tuple(rest[kept].tolist()), tuple(answer[kept].tolist()), tuple(sure[kept].tolist()), threshold, ""
    )
