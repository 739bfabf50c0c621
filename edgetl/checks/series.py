"""The check stage for series: writes check.json for a split of windows. It refuses nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.checks.check import of_files, sizes_of, write_findings
from edgetl.checks.copies.duplicates import across
from edgetl.checks.copies.windows import find_overlaps
from edgetl.checks.drift_findings import Plain
from edgetl.checks.features import labels_and_drift
from edgetl.checks.model import Finding, Suspect
from edgetl.checks.subject import Subject, beginning, rows_of, suspicion, whole
from edgetl.data.groups import split_keys
from edgetl.data.names import first_of
from edgetl.files.text import printable
from edgetl.fronts.series.load import read_window
from edgetl.recipes.run import Run
from edgetl.types import WeightSource, Windows

_NAMED_CHANNELS = 12
OTHER_UNIT = 4.0
"""Ratio of a channel's typical spreads in training and validation from which on units or gains may differ. Between the
two sides of three real sets it is 0.9 to 1.3."""
OTHER_LEVEL = 3.0
"""Standard deviations by which its typical levels may differ."""
_FEW = 0.2  # share of windows in which a channel may be constant


def check_series(run: Run, source: WeightSource | None, obstacle: str, out: Path) -> None:
    """Write check.json into the folder `out`; the parameters and errors are those of `edgetl.checks.check`."""
    split, recipe = run.split, run.job.recipe
    assert split.windows is not None
    subject, looked_at = whole(split), beginning(split, recipe.check.max_images)
    keys = split_keys(run)
    overlaps = find_overlaps(subject.samples, run.progress)
    levels = levels_of(subject, split.windows)
    findings = [
        *of_files(run, subject, across(overlaps, subject.sides, subject.labels.tolist()), keys),
        channels(subject, levels),
        cut(subject, split.windows, recipe.series.steps),
        *labels_and_drift(run, source, obstacle, looked_at, _plain(run, looked_at, levels), keys),
        *sizes_of(run),
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


@dataclass(frozen=True, eq=False)
class Levels:
    """Of N windows with C channels, in standard deviations of the shots around their mean.

    mean, spread  (N, C);  dead  (N, C): constant in the window;  steps  (N,)
    """

    channels: tuple[str, ...]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    dead: NDArray[np.bool_]
    steps: NDArray[np.float64]


def levels_of(subject: Subject, windows: Windows) -> Levels:
    """Read every window once. Raises UnreadableWindow."""
    means, spreads, dead, steps = [], [], [], []
    for sample in subject.samples:
        window = read_window(Path(sample.path)).astype(np.float64)
        scaled = (window - windows.mean) / windows.std
        means.append(scaled.mean(axis=0))
        spreads.append(scaled.std(axis=0))
        dead.append((window == window[:1]).all(axis=0))
        steps.append(len(window))
    names = tuple(f"channel {name}" if name.isdecimal() else printable(name) for name in windows.channels)
    return Levels(names, np.stack(means), np.stack(spreads), np.stack(dead), np.array(steps, np.float64))


def channels(subject: Subject, levels: Levels) -> Finding:
    """Dead channels, and channels whose spread or level differs between the sides."""
    val = subject.is_val
    problems: list[str] = []
    numbers: dict[str, float] = {}
    suspects: list[Suspect] = []
    for place, name in enumerate(levels.channels):
        dead = np.flatnonzero(levels.dead[:, place])
        if len(dead) > _FEW * len(val):
            share = len(dead) / len(val)
            problems.append(f"{name} is constant in {share:.0%} of the windows")
            suspects += [
                Suspect(pictures=(subject.picture(int(index)),), sentence=f"{name} is constant") for index in dead[:3]
            ]
            continue
        if not val.any() or val.all():
            continue
        one, other = (max(float(np.median(levels.spread[side, place])), 1e-9) for side in (~val, val))
        shift = float(np.median(levels.mean[val, place]) - np.median(levels.mean[~val, place]))
        numbers[f"spread_ratio_{place + 1}"], numbers[f"level_shift_{place + 1}"] = other / one, shift
        if max(other / one, one / other) > OTHER_UNIT:
            larger = f"{other / one:.3g} times as large" if other > one else f"{one / other:.3g} times as small"
            problems.append(f"the values of {name} vary {larger} in validation")
        elif abs(shift) > OTHER_LEVEL:
            problems.append(f"{name} is {shift:+.1f} standard deviations off in validation")
    if not problems:
        count = len(levels.channels)
        noun = "channel is" if count == 1 else "channels are"
        sentence = f"{count} {noun} alive and alike in training and validation"
        return Finding(check="channels", verdict="pass", sentence=sentence, numbers=numbers)
    found = suspicion(
        "channels",
        suspects,
        first_of(problems, "; "),
        remedy="compare units, gain, mounting and wiring of the sensors; leave out channels that say nothing",
    )
    return found.model_copy(update={"numbers": numbers, "found": max(found.found, len(problems))})


def cut(subject: Subject, windows: Windows, steps: int | str) -> Finding:
    """Windows that are longer or shorter than what the network sees."""
    lengths = np.array(windows.lengths)
    seen = int(lengths[: subject.shots].max()) if isinstance(steps, str) else steps
    longer, shorter = int((lengths > seen).sum()), int((lengths < seen).sum())
    numbers = {"steps": float(seen), "longer": float(longer), "shorter": float(shorter)}
    lost = float(np.maximum(lengths - seen, 0).sum() / lengths.sum())
    facts = (
        f"{longer} longer and {shorter} shorter of {len(lengths)} windows; {lost:.1%} of all time steps are left out"
    )
    if lost <= 0.1:
        sentence = f"the network sees {seen} steps: {facts}"
        return Finding(check="window", verdict="pass", sentence=sentence, numbers=numbers)
    return suspicion(
        "window",
        [
            Suspect(pictures=(subject.picture(int(index)),), sentence=f"{lengths[index]} steps")
            for index in np.flatnonzero(lengths > seen)
        ],
        f"the network sees only {seen} steps: {facts}",
        remedy="set a larger series.steps, or cut the windows to the part that matters",
    ).model_copy(update={"numbers": numbers})
