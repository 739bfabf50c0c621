"""The check stage for series: writes check.json for a split of windows. It refuses nothing itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.checks import files, sizes
from edgetl.checks.by_features import labels_and_drift
from edgetl.checks.check import write_findings
from edgetl.checks.copies.duplicates import across
from edgetl.checks.drift_findings import Plain
from edgetl.checks.series.channels import Levels, channels, cut, levels_of
from edgetl.checks.series.overlaps import find_overlaps
from edgetl.checks.subject import Subject, beginning, rows_of, whole
from edgetl.data.groups import shared_groups, split_keys
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
        *labels_and_drift(run, source, obstacle, looked_at, _plain(run, looked_at, levels), keys),
        sizes.balance(split),
        sizes.precision(split, recipe.gates.max_drop_points),
    ]
    write_findings(findings, subject, looked_at, out, run.progress)


def _plain(run: Run, looked_at: Subject, levels: Levels) -> Plain:
    rows = rows_of(looked_at, run.split)
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
