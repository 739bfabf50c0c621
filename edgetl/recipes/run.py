"""What every stage is given: one value through the whole chain."""

from __future__ import annotations

from dataclasses import dataclass

from edgetl.recipes.job import Job
from edgetl.store.results import Store
from edgetl.types import Progress, Split


@dataclass(frozen=True)
class Run:
    """The store for results, the job, the images, and where progress is reported."""

    store: Store
    job: Job
    split: Split
    progress: Progress
