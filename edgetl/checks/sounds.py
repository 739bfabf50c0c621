"""The check stage for sound: writes check.json for a split of clips. It refuses nothing itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.checks.check import of_files, sizes_of, write_findings
from edgetl.checks.copies.clips import find_sound_copies
from edgetl.checks.copies.duplicates import across
from edgetl.checks.drift_findings import Plain
from edgetl.checks.features import labels_and_drift
from edgetl.checks.model import Finding, Suspect
from edgetl.checks.sound_prints import SILENT_DBFS, SoundPrints, sound_prints
from edgetl.checks.subject import Subject, beginning, rows_of, suspicion, whole
from edgetl.data.groups import split_keys
from edgetl.fronts.audio.window import USUAL_S
from edgetl.recipes.run import Run
from edgetl.types import Trait, WeightSource

_PROPERTIES = ("loudness", "noise", "length", "brightness")
_SHOWN = (("loudness", "dBFS"), ("noise", "dBFS"), ("length", "ms"), ("brightness", "Hz"))
QUIETER_DB = 35.0
"""Below the median of its class. In 687 recordings of words and digits the quietest honest ones are 28 dB below; one of
52 dB below holds no word."""
CLIPPED = 0.002
"""Share of samples in flat tops. None of those recordings has 0.0015."""
CUT_OFF = 0.1
"""Share of a clip's energy outside of the window."""


def check_sounds(run: Run, source: WeightSource | None, obstacle: str, out: Path) -> None:
    """Write check.json into the folder `out`; the parameters and errors are those of `edgetl.checks.check`.

    There is no contact sheet: check.json names the clips to listen to.
    """
    split, recipe, progress = run.split, run.job.recipe, run.progress
    subject, looked_at = whole(split), beginning(split, recipe.check.max_images)
    window_s = recipe.audio.window_s or USUAL_S
    prints = sound_prints(subject.samples, window_s, progress)
    copies = find_sound_copies(prints, subject.samples, subject.sides, progress)
    keys = split_keys(run)
    findings = [
        *of_files(
            run, subject, across(copies, subject.sides, subject.labels.tolist()), keys, converted(subject, split.traits)
        ),
        silence(subject, prints),
        clipping(subject, prints),
        cut_off(subject, prints, window_s, split.clips.rate_hz if split.clips else 0),
        *labels_and_drift(run, source, obstacle, looked_at, _plain(run, looked_at, prints), keys),
        *sizes_of(run),
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


def silence(subject: Subject, prints: SoundPrints) -> Finding:
    """Clips of zeros, and clips far quieter than their class."""
    labels = subject.labels
    medians = np.array([np.median(prints.loud[labels == label]) for label in range(int(labels.max()) + 1)])
    below = medians[labels] - prints.loud
    numbers = {"median_loudness_dbfs": float(np.median(prints.loud))}
    suspects = [
        Suspect(pictures=(subject.picture(int(index)),), sentence=_how_quiet(prints, below, int(index)))
        for index in np.argsort(prints.loud, kind="stable")
        if prints.loud[index] <= SILENT_DBFS or below[index] >= QUIETER_DB
    ]
    if not suspects:
        return Finding(check="silence", verdict="pass", sentence="no clip is silent", numbers=numbers)
    return suspicion(
        "silence",
        suspects,
        f"{_count(len(suspects))} silent or more than {QUIETER_DB:g} dB quieter than the class: "
        f"{subject.named(suspects)}",
        remedy="listen to them; remove those in which nothing is heard",
    ).model_copy(update={"numbers": numbers})


def clipping(subject: Subject, prints: SoundPrints) -> Finding:
    """Clips whose loudest parts are flat."""
    found = np.flatnonzero(prints.clipped >= CLIPPED)
    numbers = {"most_clipped": float(prints.clipped.max(initial=0))}
    if not len(found):
        return Finding(check="clipping", verdict="pass", sentence="no clip is cut off at its loudest", numbers=numbers)
    suspects = [
        Suspect(
            pictures=(subject.picture(int(index)),),
            sentence=f"{100 * prints.clipped[index]:.1f} % of its samples are at its largest amplitude",
            score=float(prints.clipped[index]),
        )
        for index in found[np.argsort(-prints.clipped[found], kind="stable")]
    ]
    return suspicion(
        "clipping",
        suspects,
        f"{_count(len(suspects))} cut off at the loudest parts: {subject.named(suspects)}",
        remedy="record with less gain; such clips may stay if the device clips likewise",
    ).model_copy(update={"numbers": numbers})


def cut_off(subject: Subject, prints: SoundPrints, window_s: float, rate_hz: int) -> Finding:
    """Clips of which the window leaves out more than a little."""
    longer = int(np.count_nonzero(prints.lengths > round(window_s * rate_hz)))
    found = np.flatnonzero(prints.outside >= CUT_OFF)
    longest = float(np.quantile(prints.lengths, 0.95)) / rate_hz
    numbers = {"window_s": window_s, "longer_clips": float(longer), "seconds_of_95_percent": longest}
    lengths = f"95 % of the clips are at most {longest:.2f} s long"
    if not len(found):
        much = f"{_count(longer)} longer, by little sound" if longer else "no clip is longer"
        sentence = f"the window of {window_s:g} s holds the clips: {much}; {lengths}"
        return Finding(check="window", verdict="pass", sentence=sentence, numbers=numbers)
    suspects = [
        Suspect(
            pictures=(subject.picture(int(index)),),
            sentence=f"{prints.lengths[index] / rate_hz:.2f} s, {100 * prints.outside[index]:.0f} % of its energy "
            "outside",
            score=float(prints.outside[index]),
        )
        for index in found[np.argsort(-prints.outside[found], kind="stable")]
    ]
    return suspicion(
        "window",
        suspects,
        f"{_count(len(suspects))} longer than the window of {window_s:g} s, with a tenth of the energy outside: "
        f"{subject.named(suspects)}; {lengths}",
        remedy="set a longer audio.window_s, or cut these clips to the part that matters",
    ).model_copy(update={"numbers": numbers})


def converted(subject: Subject, traits: Sequence[Trait]) -> Finding:
    """What reading changed: channels that were averaged, samples of other widths."""
    if not traits:
        return Finding(check="samples", verdict="pass", sentence="every clip is read unchanged: mono, 16 bits")
    channels = [trait for trait in traits if trait.kind == "channels"]
    widths = Counter(trait.detail for trait in traits if trait.kind == "converted")
    texts = [f"{_count(count)} of {kind}, rounded to 16 bits" for kind, count in widths.most_common()]
    numbers = {"channels": float(len(channels)), "widths": float(sum(widths.values()))}
    if not channels:
        return Finding(check="samples", verdict="pass", sentence="; ".join(texts), numbers=numbers)
    index = {sample.path: number for number, sample in enumerate(subject.samples)}
    suspects = [
        Suspect(pictures=(subject.picture(index[trait.path]),), sentence=f"{trait.high} channels")
        for trait in channels
        if trait.path in index
    ]
    return suspicion(
        "samples",
        suspects,
        "; ".join([f"{_count(len(channels))} of several channels, averaged: {subject.named(suspects)}", *texts]),
        remedy="save the channel that the device will hear",
    ).model_copy(update={"numbers": numbers})


def _how_quiet(prints: SoundPrints, below: NDArray[np.float64], index: int) -> str:
    if prints.loud[index] <= SILENT_DBFS:
        return "holds no sound"
    return f"{prints.loud[index]:.0f} dBFS, {below[index]:.0f} dB below its class"


def _count(number: int) -> str:
    return f"{number} clip{' is' if number == 1 else 's are'}"
