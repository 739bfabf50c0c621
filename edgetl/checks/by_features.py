"""Improbable labels and drift of clips and windows."""

from __future__ import annotations

from edgetl.checks.drift_findings import Plain, drift
from edgetl.checks.features import features_of
from edgetl.checks.model import Finding
from edgetl.checks.subject import Subject, groups_of
from edgetl.data.groups import SplitKeys
from edgetl.recipes.run import Run
from edgetl.types import WeightSource


def labels_and_drift(
    run: Run, source: WeightSource | None, obstacle: str, looked_at: Subject, plain: Plain, keys: SplitKeys | None
) -> list[Finding]:
    """Both by features of the pretrained network and by the plain properties of the examples in `looked_at`.

    source    weights of the network; None for no features, for the reason `obstacle`
    """
    wanted, seed = run.job.recipe.check.features, run.job.recipe.data.seed
    features = None if source is None or not wanted else features_of(run, source, looked_at)
    if features is None:
        reason = obstacle if wanted else "check.features: false"
        improbable = Finding(check="labels", verdict="not checked", sentence=reason)
    else:
        # its numerics need scikit-learn, which only the training half has
        from edgetl.checks.likeness import labels

        improbable = labels(looked_at, features, seed=seed)
    return [improbable, drift(looked_at, features, plain, seed=seed, groups=groups_of(keys, looked_at))]
