"""Which shots ranges are observed on. Torch-free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgetl.types import CalibrationProfile, Sample
from edgetl.types.data import labels_of


def draw_samples(samples: Sequence[Sample], profile: CalibrationProfile) -> tuple[Sample, ...]:
    """At most `profile.images` of the samples, class by class in turn, in a random order of the profile's seed."""
    return tuple(samples[index] for index in _in_turn(samples, profile.seed)[: profile.images])


def _in_turn(samples: Sequence[Sample], seed: int) -> NDArray[np.intp]:
    """Indices of all samples in a random order in which the classes take turns: every beginning is balanced."""
    order = np.random.default_rng(seed).permutation(len(samples))
    seen: Counter[int] = Counter()
    rounds = []
    for index in order:
        # of an image with several objects the rarest class counts; one without objects comes last
        labels = set(labels_of(samples[index].truth))
        rounds.append(min((seen[label] for label in labels), default=len(samples)))
        seen.update(labels)
    taken: NDArray[np.intp] = order[np.argsort(rounds, kind="stable")]
    return taken
