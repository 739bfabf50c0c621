"""The check stage: looks for leaks, wrong labels and drift."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgetl.errors import WeightsError
from edgetl.files.digest import value_digest
from edgetl.recipes.job import Job
from edgetl.recipes.recipe import Recipe
from edgetl.recipes.run import Run
from edgetl.stages.keys import versions
from edgetl.stages.weights import Weights
from edgetl.store.results import StageResult


def check_stage(run: Run, weights: Weights | None = None) -> StageResult:
    """Check for leaks, wrong labels and drift. If features cannot be computed, the other checks still run: the next
    stage reports the problem with the weights, and the next run tries again."""
    if run.job.recipe.task == "detection":
        return _checked(run, None, "features of whole images are compared only for task: classification")
    if run.job.recipe.network is not None:
        return _checked(run, None, "features are not computed with an imported network")
    weights = weights or Weights.of(run.job, run.progress)
    try:
        return _checked(run, weights, "")
    except WeightsError as error:
        weights.fail(error)
        reason = f"features could not be computed: {error}"
    except ModuleNotFoundError as error:
        reason = f"features need the package {error.name}; run: pip install 'edgetl[train]'"
    return _checked(run, None, reason)


def refuse_leaks(job: Job, checked: StageResult) -> None:
    """Raise DataError for refused findings, unless `check.allow_leak` is set."""
    from edgetl.checks.model import FILE_NAME, read_checks, require_sound

    require_sound(read_checks(checked.folder / FILE_NAME), allow_leak=job.recipe.check.allow_leak)


def _of_front(recipe: Recipe) -> dict[str, Any]:
    """What a front other than that of images adds to the key: its name and its section of the recipe."""
    section = getattr(recipe, recipe.front, None)
    return {"front": recipe.front, recipe.front: section.model_dump(mode="json")} if section is not None else {}


def _checked(run: Run, weights: Weights | None, obstacle: str) -> StageResult:
    from edgetl.fronts.base import load_front

    recipe = run.job.recipe
    source = weights.source if weights else None
    # allowing a leak changes no finding
    settings = recipe.check.model_dump(mode="json", exclude={"allow_leak"})

    def make(out: Path) -> None:
        from edgetl.checks.check import check_images
        from edgetl.checks.series import check_series
        from edgetl.checks.sounds import check_sounds
        from edgetl.checks.texts import check_texts

        opened = weights.to_open() if weights and recipe.check.features else source
        by_front = {"image": check_images, "audio": check_sounds, "series": check_series, "text": check_texts}
        by_front[recipe.front](run, opened, obstacle, out)

    config = {
        "check": settings,
        "group_by": recipe.data.group_by,
        "seed": recipe.data.seed,
        "max_drop_points": recipe.gates.max_drop_points,
        "backbone": recipe.backbone.identity(),
        "weights": source.kind if source else obstacle,
        "tools": versions(("torch", "timm", "torchvision", "scikit-learn")),
        "decoders": load_front(recipe.front).versions(),
        **({} if recipe.task == "classification" else {"task": recipe.task, "shots": recipe.data.shots}),
        **_of_front(recipe),
    }
    # findings contain file names, which are not part of the split's digest
    files = [
        [sample.path for sample in (*run.split.shots, *run.split.val)],
        [asdict(skipped) for skipped in run.split.skipped],
    ]
    read = [[asdict(trait) for trait in run.split.traits], [asdict(conflict) for conflict in run.split.conflicts]]
    if run.split.remarks:
        read.append([asdict(remark) for remark in run.split.remarks])
    inputs = {
        "split": run.split.digest,
        "files": value_digest([files, read, run.split.classes]),
        "weights": source.digest if source else "",
    }
    return run.store.once("check", 5, config, make, inputs=inputs)
