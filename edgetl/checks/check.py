"""The check stage: writes check.json and a contact sheet of suspects for a split. It refuses nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.checks import files, objects, sizes
from edgetl.checks.copies.duplicates import (
    Copy,
    Findings,
    Prints,
    across,
    confirm_copies,
    find_copies,
    fingerprints,
    read_prints,
    write_prints,
)
from edgetl.checks.decoding import pictures
from edgetl.checks.drift_findings import drift, of_images
from edgetl.checks.features import features_of
from edgetl.checks.model import FILE_NAME, SHEET_NAME, Checks, Finding, write_checks
from edgetl.checks.object_drift import object_drift
from edgetl.checks.sheet import write_sheet
from edgetl.checks.subject import Subject, beginning, groups_of, rows_of, whole
from edgetl.data.groups import SplitKeys, shared_groups, split_keys
from edgetl.errors import DataError
from edgetl.files.digest import value_digest
from edgetl.files.durable import damaged
from edgetl.fronts.image.decoder_versions import decoder_versions
from edgetl.recipes.run import Run
from edgetl.types import Progress, Split, WeightSource

DETECTOR_INPUT = (320, 320)
"""Height and width that most detectors take if the recipe does not say."""


def check_images(run: Run, source: WeightSource | None, obstacle: str, out: Path) -> None:
    """Write check.json and, if there are suspects or labeled objects, contact-sheet.jpg into the folder `out`.

    source  the backbone's weights; None leaves out the checks on features, and `obstacle` says why
    raises  DataError for an image that can no longer be read, UsageError for names without a group; WeightsError and
            ModuleNotFoundError if features cannot be computed although there is a source
    """
    split, progress, recipe = run.split, run.progress, run.job.recipe
    subject = whole(split)
    prints = _prints(subject, run.store.cache, progress)
    seen = find_copies(prints, progress, sides=subject.sides)
    copies = confirm_copies(seen, prints, subject.samples, subject.sides, progress)
    copied = across(copies, subject.sides, subject.labels.tolist())
    if recipe.task == "detection":
        copied = replace(copied, contradictions=_other_boxes(copies, subject))
    keys = split_keys(run)
    looked_at = beginning(split, recipe.check.max_images)
    compared = _Compared(
        looked_at,
        _rows(prints, split, looked_at),
        _known(subject, copied),
        groups_of(keys, looked_at),
        recipe.data.seed,
    )
    if source is not None and recipe.check.features:
        alike = _by_features(compared, features_of(run, source, looked_at))
    else:
        alike = _without_features(compared, obstacle if recipe.check.features else "check.features: false")
    has_objects = recipe.task == "detection"
    enough = _of_objects(run, subject, keys) if has_objects else sizes_of(run)
    examples = objects.examples(subject) if has_objects else ()
    findings = [*of_files(run, subject, copied, keys, pictures(subject, split.traits)), *alike, *enough]
    sheet = write_sheet(findings, out / SHEET_NAME, examples)
    write_findings(findings, subject, looked_at, out, progress, sheet=SHEET_NAME if sheet else None)


def of_files(run: Run, subject: Subject, copied: Findings, keys: SplitKeys | None, *read: Finding) -> list[Finding]:
    """What every front is checked for first: skipped files, names, copies, groups. read  how the files were decoded"""
    split = run.split
    return [
        files.passed_over(subject, split.skipped),
        *read,
        files.names(split.classes),
        *files.copies(subject, copied, split.conflicts),
        files.groups(subject, None if keys is None else shared_groups(keys)),
    ]


def sizes_of(run: Run) -> list[Finding]:
    """What every front is checked for last: examples of each class, and what so many can prove."""
    return [sizes.balance(run.split), sizes.precision(run.split, run.job.recipe.gates.max_drop_points)]


def write_findings(
    findings: Sequence[Finding],
    subject: Subject,
    looked_at: Subject,
    out: Path,
    progress: Progress,
    *,
    sheet: str | None = None,
) -> None:
    """Write check.json into the folder `out` and note the warnings.

    looked_at  the part of the subject that was compared by features and for drift
    """
    checks = Checks(
        findings=tuple(findings),
        shots=subject.shots,
        val=len(subject.samples) - subject.shots,
        shots_looked_at=looked_at.shots,
        val_looked_at=len(looked_at.samples) - looked_at.shots,
        root=subject.root,
        contact_sheet=sheet,
    )
    write_checks(checks, out / FILE_NAME)
    for finding in findings:
        if finding.verdict == "warn":
            progress.note(f"check: {finding.sentence}")


def _other_boxes(copies: Sequence[Copy], subject: Subject) -> tuple[Copy, ...]:
    """Equal images with other boxes; images that only look alike may show other objects."""
    truths = [sample.truth for sample in subject.samples]
    return tuple(copy for copy in copies if copy.kind == "pixels" and truths[copy.first] != truths[copy.second])


def _of_objects(run: Run, subject: Subject, keys: SplitKeys | None) -> list[Finding]:
    recipe, split = run.job.recipe, run.split
    found = objects.objects_of(subject)
    size = recipe.backbone.height_and_width() or DETECTOR_INPUT
    return [
        objects.boxes(subject, split.remarks),
        objects.outliers(subject, found),
        *objects.doubles(subject),
        objects.tiny(subject, found, size, split.resize),
        object_drift(
            subject,
            found,
            counts=recipe.data.shots == "all",
            groups=groups_of(keys, subject),
            seed=recipe.data.seed,
        ),
        objects.balance(split, recipe.data.shots),
        objects.precision(split, recipe.gates.max_drop_points),
    ]


@dataclass(frozen=True)
class _Compared:
    """The images that are compared with each other.

    thumbnails  uint8 (N, h, w, 3)
    known       pairs of paths that are copies already
    """

    subject: Subject
    thumbnails: NDArray[np.uint8]
    known: set[tuple[str, str]]
    groups: tuple[str, ...] | None
    seed: int

    def drift(self, features: NDArray[np.float32] | None) -> Finding:
        return drift(self.subject, features, of_images(self.thumbnails), seed=self.seed, groups=self.groups)


def _without_features(compared: _Compared, reason: str) -> list[Finding]:
    return [
        Finding(check="neighbours", verdict="not checked", sentence=reason),
        Finding(check="labels", verdict="not checked", sentence="no features: see neighbors"),
        compared.drift(None),
    ]


def _by_features(compared: _Compared, features: NDArray[np.float32]) -> list[Finding]:
    # the numerics of labels need scikit-learn, which only the training half has
    from edgetl.checks.likeness import labels, neighbours

    return [
        neighbours(compared.subject, features, compared.thumbnails, compared.known),
        labels(compared.subject, features, seed=compared.seed),
        compared.drift(features),
    ]


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
    return np.asarray(prints.thumbnails[rows_of(subject, split)])


def _known(subject: Subject, copied: Findings) -> set[tuple[str, str]]:
    return {(subject.samples[copy.first].path, subject.samples[copy.second].path) for copy in copied.leaks}
