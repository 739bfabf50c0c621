"""Features of the pretrained backbone for the checks; improbable labels and drift of clips and windows by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgetl.checks.drift_findings import Plain, drift
from edgetl.checks.model import Finding
from edgetl.checks.subject import Subject, groups_of
from edgetl.data.groups import SplitKeys
from edgetl.recipes.run import Run
from edgetl.types import WeightSource

if TYPE_CHECKING:
    from edgetl.backbones.extract import Frozen


def features_of(run: Run, source: WeightSource, subject: Subject) -> NDArray[np.float32]:
    """(N, F) features of the pretrained backbone, shots and validation images separately: others need only the
    shots."""
    return of_frozen(run, frozen_of(run, source, subject), subject)


def frozen_of(run: Run, source: WeightSource, subject: Subject) -> Frozen:
    """The pretrained network as the run's recipe builds it."""
    from edgetl.backbones.extract import open_frozen
    from edgetl.backbones.input_choice import input_choice

    return open_frozen(run.job.recipe.backbone, source, len(subject.classes), input_choice(run))


def of_frozen(run: Run, frozen: Frozen, subject: Subject) -> NDArray[np.float32]:
    """`features_of` with a network that is open already."""
    from edgetl.backbones.extract import pooled_features

    shots, val = subject.samples[: subject.shots], subject.samples[subject.shots :]
    sides = ((shots, "shots"), (val, f"validation {subject.noun}s"))
    return np.concatenate(
        [
            pooled_features(frozen, side, run.store.cache / "features", progress=run.progress, what=what).read()
            for side, what in sides
        ]
    )


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
