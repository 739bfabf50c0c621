"""Features of the pretrained backbone for the checks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgetl.checks.subject import Subject
from edgetl.recipes.run import Run
from edgetl.types import WeightSource


def features_of(run: Run, source: WeightSource, subject: Subject) -> NDArray[np.float32]:
    """(N, F) features of the pretrained backbone, shots and validation images separately: others need only the
    shots."""
    from edgetl.backbones.extract import open_frozen, pooled_features
    from edgetl.backbones.input_choice import input_choice

    frozen = open_frozen(run.job.recipe.backbone, source, len(subject.classes), input_choice(run))
    shots, val = subject.samples[: subject.shots], subject.samples[subject.shots :]
    sides = ((shots, "shots"), (val, f"validation {subject.noun}s"))
    return np.concatenate(
        [
            pooled_features(frozen, side, run.store.cache / "features", progress=run.progress, what=what).read()
            for side, what in sides
        ]
    )
