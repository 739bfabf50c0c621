"""The stages that look at the images: reading and drawing them, and checking them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from edgetl.errors import UsageError, WeightsError
from edgetl.files.digest import value_digest
from edgetl.files.text import nearest
from edgetl.stages.job import Job
from edgetl.stages.keys import versions
from edgetl.stages.weights import Weights
from edgetl.store.results import StageResult, Store
from edgetl.types import Progress, Split


def split_stage(store: Store, job: Job, progress: Progress) -> tuple[Split, StageResult]:
    """Read every image once and draw the few shots."""
    from edgetl.data.fingerprint import fingerprint
    from edgetl.data.split import read_split
    from edgetl.fronts.image.decoder_versions import decoder_versions

    def run(out: Path) -> None:
        from edgetl.data import stage

        stage.run(job.recipe.data, job.base, out, progress)

    config = {
        "data": job.recipe.data.model_dump(mode="json"),
        "base": str(job.base),
        "decoders": decoder_versions(),  # which files can be read
    }
    result = store.once("data", 2, config, run, inputs={"images": fingerprint(job.recipe.data, job.base)})
    return read_split(result.folder / "split.json"), result


def refuse_unknown_classes(job: Job, split: Split) -> None:
    """Raise UsageError for a gate on the recall of a class that the images do not have."""
    for label in job.recipe.gates.min_recall or {}:
        if label not in split.classes:
            raise UsageError(f"gates.min_recall: the images have no class `{label}`; {nearest(label, split.classes)}")


def check_stage(
    store: Store, job: Job, split: Split, progress: Progress, weights: Weights | None = None
) -> StageResult:
    """Look for leaks, wrong labels and drift. Where features cannot be computed, the rest is checked: the next stage
    says what is wrong with the weights, and the next run tries again."""
    weights = weights or Weights.of(job, progress)
    try:
        return _checked(store, job, split, weights, "", progress)
    except WeightsError as error:
        weights.fail(error)
        reason = f"features could not be computed: {error}"
    except ModuleNotFoundError as error:
        reason = f"features need the package {error.name}; run: pip install 'edgetl[train]'"
    return _checked(store, job, split, None, reason, progress)


def refuse_leaks(job: Job, checked: StageResult) -> None:
    """Raise DataError for what the check refused, unless `check.allow_leak` is set."""
    from edgetl.checks.model import FILE_NAME, read_checks, require_sound

    require_sound(read_checks(checked.folder / FILE_NAME), allow_leak=job.recipe.check.allow_leak)


def _checked(
    store: Store, job: Job, split: Split, weights: Weights | None, obstacle: str, progress: Progress
) -> StageResult:
    from edgetl.fronts.image.decoder_versions import decoder_versions

    recipe = job.recipe
    source = weights.source if weights else None
    # what is allowed changes no finding
    settings = recipe.check.model_dump(mode="json", exclude={"allow_leak"})

    def run(out: Path) -> None:
        from edgetl.checks import stage

        check_job = stage.CheckJob(
            split=split,
            data=recipe.data,
            base=job.base,
            check=recipe.check,
            max_drop_points=recipe.gates.max_drop_points,
            backbone=recipe.backbone,
            source=weights.to_open() if weights and recipe.check.features else source,
            obstacle=obstacle,
            cache=store.cache,
        )
        stage.run(check_job, out, progress)

    config = {
        "check": settings,
        "group_by": recipe.data.group_by,
        "seed": recipe.data.seed,
        "max_drop_points": recipe.gates.max_drop_points,
        "backbone": recipe.backbone.identity(),
        "weights": source.kind if source else obstacle,
        "tools": versions(("torch", "timm", "torchvision", "scikit-learn")),
        "decoders": decoder_versions(),
    }
    # findings name files, which the split's digest does not
    files = [[sample.path for sample in (*split.shots, *split.val)], [asdict(skipped) for skipped in split.skipped]]
    read = [[asdict(trait) for trait in split.traits], [asdict(conflict) for conflict in split.conflicts]]
    inputs = {
        "split": split.digest,
        "files": value_digest([files, read, split.classes]),
        "weights": source.digest if source else "",
    }
    return store.once("check", 5, config, run, inputs=inputs)
