"""Chooses the training views of a run, by its front."""

from __future__ import annotations

from edgetl.fronts.image.augment_policy import resolve_policy
from edgetl.recipes.run import Run


def augment_of(run: Run) -> str:
    """The policy that the shots of a run are augmented by: the recipe's `data.augment`, with `auto` resolved."""
    policy = run.job.recipe.data.augment
    if run.job.recipe.front == "text":
        return "none" if policy == "auto" else policy
    if run.job.recipe.front == "series":
        return "light" if policy == "auto" else policy
    if run.job.recipe.front == "audio":
        return "speech" if policy == "auto" else policy
    return resolve_policy(policy, run.split.classes)
