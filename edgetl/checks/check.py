"""The check stage: writes check.json and a contact sheet of suspects for a split. It refuses nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.checks import files, sizes
from edgetl.checks.copies.duplicates import (
    Findings,
    Prints,
    across,
    confirm_copies,
    find_copies,
    fingerprints,
    read_prints,
    write_prints,
)
from edgetl.checks.drift_findings import drift
from edgetl.checks.model import FILE_NAME, SHEET_NAME, Checks, Finding, write_checks
from edgetl.checks.pictures import pictures
from edgetl.checks.sheet import write_sheet
from edgetl.checks.subject import Subject, beginning, whole
from edgetl.data.groups import SplitKeys, shared_groups, split_keys
from edgetl.errors import DataError
from edgetl.files.digest import value_digest
from edgetl.fronts.image.decoder_versions import decoder_versions
from edgetl.recipes.recipe import Backbone, Check, Data
from edgetl.store.cache import damaged
from edgetl.types import Progress, Split, WeightSource


@dataclass(frozen=True)
class CheckJob:
    """The inputs of the stage.

    base      the folder in which the recipe's relative paths start
    source    the backbone's weights; None skips the checks on features, and `obstacle` says why
    cache     folder of features and prints, kept between runs
    """

    split: Split
    data: Data
    base: Path
    check: Check
    max_drop_points: float | None
    backbone: Backbone
    source: WeightSource | None
    obstacle: str
    cache: Path


def run(job: CheckJob, out: Path, progress: Progress) -> None:
    """Write check.json and, if there are suspects, contact-sheet.jpg into the folder `out`.

    raises  DataError for an image that can no longer be read, UsageError for names without a group; WeightsError and
            ModuleNotFoundError if features cannot be computed although there is a source
    """
    split = job.split
    subject = whole(split)
    prints = _prints(subject, job.cache, progress)
    seen = find_copies(prints, progress, sides=subject.sides)
    copies = confirm_copies(seen, prints, subject.samples, subject.sides, progress)
    copied = across(copies, subject.sides, [sample.label for sample in subject.samples])
    keys = split_keys(job.data, job.base, split)
    findings = [
        files.passed_over(subject, split.skipped),
        pictures(subject, split.traits),
        files.names(split.classes),
        *files.copies(subject, copied, split.conflicts),
        files.groups(subject, None if keys is None else shared_groups(keys)),
    ]
    looked_at = beginning(split, job.check.max_images)
    rows = _rows(prints, split, looked_at)
    findings += _likeness(job, looked_at, rows, _known(subject, copied), _groups(keys, looked_at), progress)
    findings += [sizes.balance(split), sizes.precision(split, job.max_drop_points)]
    sheet = write_sheet(findings, out / SHEET_NAME)
    checks = Checks(
        findings=tuple(findings),
        shots=len(split.shots),
        val=len(split.val),
        shots_looked_at=looked_at.shots,
        val_looked_at=len(looked_at.samples) - looked_at.shots,
        root=subject.root,
        contact_sheet=SHEET_NAME if sheet else None,
    )
    write_checks(checks, out / FILE_NAME)
    for finding in findings:
        if finding.verdict == "warn":
            progress.note(f"check: {finding.sentence}")


def _likeness(
    job: CheckJob,
    subject: Subject,
    thumbnails: NDArray[np.uint8],
    known: set[tuple[str, str]],
    groups: tuple[str, ...] | None,
    progress: Progress,
) -> list[Finding]:
    # the label check needs scikit-learn, which only the training half has
    seed = job.data.seed
    if job.source is None or not job.check.features:
        reason = job.obstacle if job.check.features else "check.features: false"
        return [
            Finding(check="neighbours", verdict="not checked", sentence=reason),
            Finding(check="labels", verdict="not checked", sentence="no features: see neighbors"),
            drift(subject, None, thumbnails, seed=seed, groups=groups),
        ]
    from edgetl.checks.likeness import labels, neighbours

    features = _features(job, subject, progress)
    return [
        neighbours(subject, features, thumbnails, known),
        labels(subject, features, seed=seed),
        drift(subject, features, thumbnails, seed=seed, groups=groups),
    ]


def _features(job: CheckJob, subject: Subject, progress: Progress) -> NDArray[np.float32]:
    """(N, F) features of the pretrained backbone, shots and validation images separately: others need only the
    shots."""
    from edgetl.backbones.extract import open_frozen, pooled_features

    assert job.source is not None
    frozen = open_frozen(job.backbone, job.source, len(subject.classes), job.split.resize)
    shots, val = subject.samples[: subject.shots], subject.samples[subject.shots :]
    sides = ((shots, "shots"), (val, "validation images"))
    return np.concatenate(
        [
            pooled_features(frozen, side, job.cache / "features", progress=progress, what=what).read()
            for side, what in sides
        ]
    )


def _prints(subject: Subject, cache: Path, progress: Progress) -> Prints:
    """The prints of the images; those of the last run are not decoded again."""
    path = cache / f"prints-{value_digest(decoder_versions())[:16]}.kept"
    known = None
    if path.exists():
        try:
            known = read_prints(path)
        except DataError:
            progress.note(damaged(path))
    prints = fingerprints(subject.samples, progress, known=known)
    cache.mkdir(parents=True, exist_ok=True)
    write_prints(prints, path)
    return prints


def _rows(prints: Prints, split: Split, subject: Subject) -> NDArray[np.uint8]:
    measured = len(subject.samples) - subject.shots
    first_val = len(split.shots)
    return np.concatenate([prints.thumbnails[: subject.shots], prints.thumbnails[first_val : first_val + measured]])


def _groups(keys: SplitKeys | None, subject: Subject) -> tuple[str, ...] | None:
    """The group of each of the subject's samples, which come first on both sides."""
    if keys is None:
        return None
    return (*keys.shots[: subject.shots], *keys.val[: len(subject.samples) - subject.shots])


def _known(subject: Subject, copied: Findings) -> set[tuple[str, str]]:
    return {(subject.samples[copy.first].path, subject.samples[copy.second].path) for copy in copied.leaks}
