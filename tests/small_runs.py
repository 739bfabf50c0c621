"""What a stage is given, from a split and the sections of a recipe that matter to a test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgetl.recipes.job import make_job
from edgetl.recipes.recipe import Recipe
from edgetl.recipes.run import Run
from edgetl.store.results import Store
from edgetl.types import CalibrationProfile, Progress, Silent, Split

_REST = {"name": "small", "data": {"train": "."}, "backbone": {"name": "test_resnet"}, "targets": ["null"]}


def small_run(
    split: Split,
    base: Path,
    *,
    progress: Progress | None = None,
    profile: CalibrationProfile | None = None,
    **sections: Any,
) -> Run:
    """A run on `split`. The recipe's paths start at the folder `base`; caches are in `base`/cache.

    sections  of the recipe, as values or models; those that are left out have their defaults
    profile   instead of the one the recipe names
    """
    job = make_job(Recipe.model_validate({**_REST, **sections}), base, out=base)
    return Run(Store(base), replace(job, profile=profile or job.profile), split, progress or Silent())
