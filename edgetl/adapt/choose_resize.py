"""How pictures become squares, decided by what the frozen features can tell apart then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgetl.adapt.folds import stratified_folds
from edgetl.adapt.guards import Judged, judged
from edgetl.adapt.heads.table import held_out_logits, prepare
from edgetl.backbones.extract import Frozen, pooled_features
from edgetl.types import Progress, ResizePolicy, Sample

_FOLDS, _REPEATS = 5, 3
_HEADS = ("logistic", "ridge")  # two opinions: one image's luck in one of them does not decide


@dataclass(frozen=True)
class ResizeCandidate:
    """Held-out accuracy (a fraction) and cross entropy of frozen features under one policy."""

    policy: ResizePolicy
    top1: float
    loss: float


@dataclass(frozen=True)
class ResizeChoice:
    """The policy, one sentence why, and what was compared."""

    policy: ResizePolicy
    reason: str
    candidates: tuple[ResizeCandidate, ...] = ()


def choose_resize(
    frozen: Frozen,
    samples: Sequence[Sample],
    num_classes: int,
    policies: Sequence[ResizePolicy],
    cache: Path,
    seed: int,
    progress: Progress,
) -> ResizeChoice:
    """The policy of `policies` (the one that suits the pictures' shapes first) with the highest held-out accuracy, of
    equals the one with the least cross entropy.

    The first is taken where there is no other, and where a class has a single shot.
    """
    labels = np.array([sample.label for sample in samples], np.int64)
    if len(policies) < 2 or int(np.bincount(labels, minlength=num_classes).min()) < 2:
        why = "the recipe names it" if len(policies) < 2 else "a class has a single shot: nothing to compare by"
        return ResizeChoice(policies[0], f"{policies[0]}: {why}")
    found = []
    for policy in policies:
        view = with_resize(frozen, policy)
        features = pooled_features(view, samples, cache, progress=progress).read()
        results = _judge(features, labels, num_classes, seed)
        top1 = float(np.mean([result.right.mean() for result in results]))
        found.append(ResizeCandidate(policy, top1, float(np.mean([result.loss.mean() for result in results]))))
    best = min(found, key=lambda candidate: (-candidate.top1, candidate.loss))
    told = ", ".join(f"{one.policy} {one.top1:.1%} right (loss {one.loss:.3f})" for one in found)
    return ResizeChoice(best.policy, f"{best.policy}: of held-out shots on frozen features, {told}", tuple(found))


def with_resize(frozen: Frozen, policy: ResizePolicy) -> Frozen:
    """The same network with pictures resized by `policy`."""
    spec = frozen.spec
    return replace(frozen, spec=replace(spec, preprocessing=replace(spec.preprocessing, resize=policy)))


def _judge(features: np.ndarray, labels: np.ndarray, num_classes: int, seed: int) -> list[Judged]:
    shots = prepare(features[None], labels, num_classes)
    return [
        judged(name, held_out_logits(name, shots, stratified_folds(labels.tolist(), _FOLDS, seed + turn), seed), labels)
        for turn in range(_REPEATS)
        for name in _HEADS
    ]
