"""The check stage for sound: writes check.json for a split of clips. It refuses nothing itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgetl.checks import files, sizes
from edgetl.checks.by_features import labels_and_drift
from edgetl.checks.check import write_findings
from edgetl.checks.copies.duplicates import across
from edgetl.checks.drift_findings import Plain
from edgetl.checks.sounds.copies import find_sound_copies
from edgetl.checks.sounds.levels import clipping, converted, cut_off, silence
from edgetl.checks.sounds.prints import SoundPrints, sound_prints
from edgetl.checks.subject import Subject, beginning, rows_of, whole
from edgetl.data.groups import shared_groups, split_keys
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
        *labels_and_drift(run, source, obstacle, looked_at, _plain(run, looked_at, prints), keys),
        sizes.balance(split),
        sizes.precision(split, recipe.gates.max_drop_points),
    ]
    write_findings(findings, subject, looked_at, out, progress)


def _plain(run: Run, looked_at: Subject, prints: SoundPrints) -> Plain:
    rows = rows_of(looked_at, run.split)
    rate = run.split.clips.rate_hz if run.split.clips else 1
    columns = (prints.loud, prints.noise, 1000 * prints.lengths / rate, prints.bright)
    values = np.stack(columns, axis=1)[rows].astype(np.float32)
    advice = (
        "train on clips of the same microphone, distance and room as the validation clips, or expect lower accuracy on "
        "them"
    )
    return Plain("level and length", values, _PROPERTIES, _SHOWN, advice)
