"""Windows that share time steps: cut from one recording with overlap, or copied.

Two windows of sensors never have the same run of values by chance, one recording cut twice has. So runs of eight
time steps are compared exactly, by a digest; runs in which a channel does not change say nothing and are left out.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgetl.checks.copies.duplicates import Copy
from edgetl.fronts.series.load import read_window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetl.types import Progress, Sample

RUN = 8
"""Time steps of a run."""
SHARED = 0.2
"""Share of the shorter window's runs from which on two windows overlap."""
_COMMON = 20  # windows with one run: more is a signal at rest, not a recording


def find_overlaps(samples: Sequence[Sample], progress: Progress) -> tuple[Copy, ...]:
    """Pairs with `first` < `second`; `correlation` is the share of the shorter one's runs. Raises UnreadableWindow."""
    owners: dict[bytes, set[int]] = defaultdict(set)
    counts: list[int] = []
    with progress.task("comparing windows", total=len(samples)) as advance:
        for index, sample in enumerate(samples):
            runs = set(_runs(read_window(Path(sample.path))))
            counts.append(len(runs))
            for run in runs:
                owners[run].add(index)
            advance(1)
    shared: dict[tuple[int, int], int] = defaultdict(int)
    for found in owners.values():
        if 1 < len(found) <= _COMMON:
            ordered = sorted(found)
            for place, first in enumerate(ordered):
                for second in ordered[place + 1 :]:
                    shared[first, second] += 1
    copies = []
    for (first, second), count in sorted(shared.items()):
        share = count / min(counts[first], counts[second])
        if share >= SHARED:
            copies.append(Copy(first, second, "copy", share))
    return tuple(copies)


def _runs(window: NDArray[np.float32]) -> Iterator[bytes]:
    """Digests of all runs in which every channel that lives in the window changes."""
    alive = window[:, (window != window[:1]).any(axis=0)]
    if not alive.shape[1]:
        return
    for start in range(len(alive) - RUN + 1):
        run = alive[start : start + RUN]
        if len(np.unique(run[:, 0])) > RUN // 2 and (run != run[:1]).any(axis=0).all():
            yield hashlib.blake2b(run.tobytes(), digest_size=12).digest()
