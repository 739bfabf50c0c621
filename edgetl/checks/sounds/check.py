"""The check stage for sound: writes check.json for a split of clips. It refuses nothing itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgetl.checks import files, sizes
from edgetl.checks.check import write_findings
from edgetl.checks.copies.duplicates import across
from edgetl.checks.drift_findings import Plain, drift
from edgetl.checks.features import features_of
from edgetl.checks.model import Finding
from edgetl.checks.sounds.copies import find_sound_copies
from edgetl.checks.sounds.levels import clipping, converted, cut_off, silence
from edgetl.checks.sounds.prints import SoundPrints, sound_prints
from edgetl.checks.subject import Subject, beginning, groups_of, whole
from edgetl.data.groups import SplitKeys, shared_groups, split_keys
from edgetl.recipes.run import Run
from edgetl.types import WeightSource

USUAL_WINDOW_S = 1.0
"""Window of most networks for words, if the recipe does not say."""

_PROPERTIES = ("loudness", "noise", "length", "brightness")
_SHOWN = (("loudness", "dBFS"), ("noise", "dBFS"), ("length", "ms"), ("brightness", "Hz"))


def check_sounds(run: Run, source: WeightSource | None, obstacle: str, out: Path) -> None:
    """Write check.json into the folder `out`; the parameters and errors are those of `edgetl.checks.check`.

    There is no contact sheet: check.json names the clips to listen to.
    """
    split, recipe, progress = run.split, run.job.recipe, run.progress
    subject, looked_at = whole(split), beginning(split, recipe.check.max_images)
    window_s = recipe.audio.window_s or USUAL_WINDOW_S
    prints = sound_prints(subject.samples, window_s, progress)
    copies = find_sound_copies(prints, subject.samples, subject.sides, progress)
    keys = split_keys(run)
    findings = [
        files.passed_over(subject, split.skipped),
        converted(subject, split.traits),
        files.names(split.classes),
        *files.copies(subject, across(copies, subject.sides, subject.labels.tolist()), split.conflicts),
        files.groups(subject, None if keys is None else shared_groups(keys)),
        silence(subject, prints),
        clipping(subject, prints),
        cut_off(subject, prints, window_s, split.clips.rate_hz if split.clips else 0),
        *_by_features(run, source if recipe.check.features else None, obstacle, looked_at, prints, keys),
        sizes.balance(split),
        sizes.precision(split, recipe.gates.max_drop_points),
    ]
    write_findings(findings, subject, looked_at, out, progress)


def _by_features(
    run: Run,
    source: WeightSource | None,
    obstacle: str,
    looked_at: Subject,
    prints: SoundPrints,
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
    plain = _plain(run, looked_at, prints)
    groups = groups_of(keys, looked_at)
    return [improbable, drift(looked_at, features, plain, seed=run.job.recipe.data.seed, groups=groups)]


def _plain(run: Run, looked_at: Subject, prints: SoundPrints) -> Plain:
    measured = len(looked_at.samples) - looked_at.shots
    first_val = len(run.split.shots)
    rows = [*range(looked_at.shots), *range(first_val, first_val + measured)]
    rate = run.split.clips.rate_hz if run.split.clips else 1
    columns = (prints.loud, prints.noise, 1000 * prints.lengths / rate, prints.bright)
    values = np.stack(columns, axis=1)[rows].astype(np.float32)
    advice = (
        "train on clips of the same microphone, distance and room as the validation clips, or expect lower accuracy on "
        "them"
    )
    return Plain("level and length", values, _PROPERTIES, _SHOWN, advice)
