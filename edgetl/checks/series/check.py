"""The check stage for series: writes check.json for a split of windows. It refuses nothing itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.checks import files, sizes
from edgetl.checks.check import write_findings
from edgetl.checks.copies.duplicates import across
from edgetl.checks.drift_findings import Plain, drift
from edgetl.checks.features import features_of
from edgetl.checks.model import Finding
from edgetl.checks.series.channels import Levels, channels, cut, levels_of
from edgetl.checks.series.overlaps import find_overlaps
from edgetl.checks.subject import Subject, beginning, groups_of, whole
from edgetl.data.groups import SplitKeys, shared_groups, split_keys
from edgetl.recipes.run import Run
from edgetl.types import WeightSource

_NAMED_CHANNELS = 12


def check_series(run: Run, source: WeightSource | None, obstacle: str, out: Path) -> None:
    """Write check.json into the folder `out`; the parameters and errors are those of `edgetl.checks.check`."""
    split, recipe = run.split, run.job.recipe
    assert split.windows is not None
    subject, looked_at = whole(split), beginning(split, recipe.check.max_images)
    keys = split_keys(run)
    overlaps = find_overlaps(subject.samples, run.progress)
    levels = levels_of(subject, split.windows)
    findings = [
        files.passed_over(subject, split.skipped),
        files.names(split.classes),
        *files.copies(subject, across(overlaps, subject.sides, subject.labels.tolist()), split.conflicts),
        files.groups(subject, None if keys is None else shared_groups(keys)),
        channels(subject, levels),
        cut(subject, split.windows, recipe.series.steps),
        *_by_features(run, source if recipe.check.features else None, obstacle, looked_at, levels, keys),
        sizes.balance(split),
        sizes.precision(split, recipe.gates.max_drop_points),
    ]
    write_findings(findings, subject, looked_at, out, run.progress)


def _by_features(
    run: Run,
    source: WeightSource | None,
    obstacle: str,
    looked_at: Subject,
    levels: Levels,
    keys: SplitKeys | None,
) -> list[Finding]:
    features = None if source is None else features_of(run, source, looked_at)
    if features is None:
        reason = obstacle if run.job.recipe.check.features else "check.features: false"
        improbable = Finding(check="labels", verdict="not checked", sentence=reason)
    else:
        # its numerics need scikit-learn, which only the training half has
        from edgetl.checks.likeness import labels

        improbable = labels(looked_at, features, seed=run.job.recipe.data.seed)
    plain = _plain(run, looked_at, levels)
    groups = groups_of(keys, looked_at)
    return [improbable, drift(looked_at, features, plain, seed=run.job.recipe.data.seed, groups=groups)]


def _plain(run: Run, looked_at: Subject, levels: Levels) -> Plain:
    measured = len(looked_at.samples) - looked_at.shots
    first_val = len(run.split.shots)
    rows = [*range(looked_at.shots), *range(first_val, first_val + measured)]
    few = slice(0, _NAMED_CHANNELS)
    columns: list[NDArray[np.float64]] = [levels.mean[rows, few], levels.spread[rows, few], levels.steps[rows, None]]
    names = [levels.channels[few], levels.channels[few]]
    titles = [f"{what} of {name}" for what, part in zip(("level", "spread"), names, strict=True) for name in part]
    values = np.concatenate(columns, axis=1).astype(np.float32)
    advice = (
        "train on windows of the same sensor, mounting and people as the validation windows, or expect lower accuracy "
        "on them"
    )
    shown = ((titles[0], "standard deviations"),)
    return Plain("level and spread of channels", values, (*titles, "length"), shown, advice)
