"""Features of the pretrained backbone for the checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgetl.checks.subject import Subject
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
