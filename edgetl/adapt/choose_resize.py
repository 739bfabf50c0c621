"""Chooses the resize policy by the accuracy of frozen features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgetl.adapt.guards import judged
from edgetl.adapt.kept import contents, load_or_compute
from edgetl.adapt.record import ResizeCandidate, ResizeChoice
from edgetl.backbones.extract import Frozen, pooled_features
from edgetl.fronts.image.augment_policy import resizes_of
from edgetl.recipes.run import Run
from edgetl.tasks.classification.folds import Fold, stratified_folds
from edgetl.tasks.classification.heads.by_name import held_out_logits, prepare
from edgetl.types import ResizePolicy, described

_FOLDS, _REPEATS = 5, 3
_HEADS = ("logistic", "ridge")  # two heads, so that luck with one image in one of them does not decide
_VERSION = 1  # of the evaluation of a policy


def choose_resize(
    run: Run, groups: Sequence[str] | None, under: Callable[[ResizePolicy | None], Frozen]
) -> tuple[ResizeChoice | None, Frozen]:
    """The policy of `resizes_of(run)` with the highest held-out accuracy on the shots, and the network under it.

    Ties go to the lower cross entropy. The first policy is taken if there is no other or nothing can be held out.
    Results are cached. Sounds have no policy.

    groups  of the shots: none is on both sides of a fold
    under   gives the network that sees images resized by a policy
    """
    policies = resizes_of(run)
    if not policies:
        return None, under(None)
    if run.split.heads:
        why = "set in the recipe" if len(policies) < 2 else "the usual one; policies are not compared for several heads"
        return ResizeChoice(policies[0], f"{policies[0]}: {why}"), under(policies[0])
    labels = [sample.label for sample in run.split.shots]
    turns = [stratified_folds(labels, _FOLDS, _seed(run) + turn, groups) for turn in range(_REPEATS)]
    if len(policies) < 2 or not all(turns):
        alone = "a class has a single shot, or its shots are in one group, so policies cannot be compared"
        why = "set in the recipe" if len(policies) < 2 else alone
        return ResizeChoice(policies[0], f"{policies[0]}: {why}"), under(policies[0])
    views = {policy: under(policy) for policy in policies}
    found = []
    for policy, view in views.items():
        top1, loss = _kept_judgment(run, view, turns)
        found.append(ResizeCandidate(policy, float(top1), float(loss)))
    best = min(found, key=lambda candidate: (-candidate.top1, candidate.loss))
    measured = ", ".join(f"{one.policy} {one.top1:.1%} right (loss {one.loss:.3f})" for one in found)
    reason = f"{best.policy}: on held-out shots with frozen features, {measured}"
    return ResizeChoice(best.policy, reason, tuple(found)), views[best.policy]


def with_resize(frozen: Frozen, policy: ResizePolicy) -> Frozen:
    """The same network with images resized by `policy`."""
    spec = frozen.spec
    return replace(frozen, spec=replace(spec, preprocessing=replace(spec.image, resize=policy)))


def _seed(run: Run) -> int:
    return run.job.recipe.adapt.seed


def _kept_judgment(run: Run, view: Frozen, turns: Sequence[Sequence[Fold]]) -> NDArray[np.float64]:
    cache, samples = run.store.cache, run.split.shots
    what = f"shots, resize: {view.spec.image.resize}"
    features = pooled_features(view, samples, cache / "features", progress=run.progress, what=what).read()
    depends_on = {
        "what": "resize",
        "version": _VERSION,
        "network": view.digest,
        "preprocessing": described(view.spec.preprocessing),
        "images": contents(samples),
        "folds": [[fold.held_out for fold in folds] for folds in turns],
        "seed": _seed(run),
    }
    return load_or_compute(cache / "judged", depends_on, lambda: _judge(run, features, turns), run.progress)


def _judge(run: Run, features: NDArray[np.float32], turns: Sequence[Sequence[Fold]]) -> NDArray[np.float64]:
    """Held-out accuracy and cross entropy, (2,)."""
    labels, seed = np.array([sample.label for sample in run.split.shots], np.int64), _seed(run)
    shots = prepare(features[None], labels, len(run.split.classes))
    results = [judged(name, held_out_logits(name, shots, folds, seed), labels) for folds in turns for name in _HEADS]
    means = [[result.right.mean(), result.loss.mean()] for result in results]
    return np.asarray(np.mean(means, axis=0), np.float64)
