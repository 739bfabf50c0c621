"""Chooses the resize policy by the accuracy of frozen features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.adapt.guards import judged
from edgetl.adapt.kept import contents, kept
from edgetl.backbones.extract import Frozen, pooled_features
from edgetl.tasks.classification.folds import Fold, stratified_folds
from edgetl.tasks.classification.heads.table import held_out_logits, prepare
from edgetl.types import Progress, ResizePolicy, Sample

_FOLDS, _REPEATS = 5, 3
_HEADS = ("logistic", "ridge")  # two heads, so that luck with one image in one of them does not decide
_VERSION = 1  # of the evaluation of a policy


@dataclass(frozen=True)
class ResizeCandidate:
    """Held-out accuracy (a fraction) and cross entropy of frozen features under one policy."""

    policy: ResizePolicy
    top1: float
    loss: float


@dataclass(frozen=True)
class ResizeChoice:
    """The policy, one sentence why, and the policies that were compared."""

    policy: ResizePolicy
    reason: str
    candidates: tuple[ResizeCandidate, ...] = ()


def choose_resize(
    under: Callable[[ResizePolicy], Frozen],
    samples: Sequence[Sample],
    num_classes: int,
    policies: Sequence[ResizePolicy],
    cache: Path,
    seed: int,
    progress: Progress,
    groups: Sequence[str] | None = None,
) -> tuple[ResizeChoice, Frozen]:
    """The policy of `policies` with the highest held-out accuracy (in a tie, the lowest cross entropy), and its
    network. Scores are kept in `cache`.

    policies  the one that suits the image shapes first; it is taken if there is no other or nothing can be held out
    under   the network that sees images resized by a policy
    groups  of the samples: none is on both sides of a fold
    """
    labels = np.array([sample.label for sample in samples], np.int64)
    turns = [stratified_folds(labels.tolist(), _FOLDS, seed + turn, groups) for turn in range(_REPEATS)]
    if len(policies) < 2 or not all(turns):
        alone = "a class has a single shot, or its shots are in one group, so policies cannot be compared"
        why = "set in the recipe" if len(policies) < 2 else alone
        return ResizeChoice(policies[0], f"{policies[0]}: {why}"), under(policies[0])
    views = {policy: under(policy) for policy in policies}
    found = []
    for policy, view in views.items():
        top1, loss = _kept_judgement(view, samples, labels, num_classes, turns, cache, seed, progress)
        found.append(ResizeCandidate(policy, float(top1), float(loss)))
    best = min(found, key=lambda candidate: (-candidate.top1, candidate.loss))
    told = ", ".join(f"{one.policy} {one.top1:.1%} right (loss {one.loss:.3f})" for one in found)
    reason = f"{best.policy}: on held-out shots with frozen features, {told}"
    return ResizeChoice(best.policy, reason, tuple(found)), views[best.policy]


def with_resize(frozen: Frozen, policy: ResizePolicy) -> Frozen:
    """The same network with images resized by `policy`."""
    spec = frozen.spec
    return replace(frozen, spec=replace(spec, preprocessing=replace(spec.preprocessing, resize=policy)))


def _kept_judgement(
    view: Frozen,
    samples: Sequence[Sample],
    labels: NDArray[np.int64],
    num_classes: int,
    turns: Sequence[Sequence[Fold]],
    cache: Path,
    seed: int,
    progress: Progress,
) -> NDArray[np.float64]:
    what = f"shots, resize: {view.spec.preprocessing.resize}"
    features = pooled_features(view, samples, cache / "features", progress=progress, what=what).read()
    depends_on = {
        "what": "resize",
        "version": _VERSION,
        "network": view.digest,
        "preprocessing": asdict(view.spec.preprocessing),
        "images": contents(samples),
        "folds": [[fold.held_out for fold in folds] for folds in turns],
        "seed": seed,
    }
    return kept(cache / "judged", depends_on, lambda: _judge(features, labels, num_classes, turns, seed), progress)


def _judge(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    num_classes: int,
    turns: Sequence[Sequence[Fold]],
    seed: int,
) -> NDArray[np.float64]:
    """Held-out accuracy and cross entropy, (2,)."""
    shots = prepare(features[None], labels, num_classes)
    results = [judged(name, held_out_logits(name, shots, folds, seed), labels) for folds in turns for name in _HEADS]
    means = [[result.right.mean(), result.loss.mean()] for result in results]
    return np.asarray(np.mean(means, axis=0), np.float64)
