"""Drift as a finding: training against validation images, by the network's features and by plain appearance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.checks import drift as drifts
from edgetl.checks.drift import Drift, measure_drift
from edgetl.checks.model import Finding, Suspect
from edgetl.checks.subject import Subject, suspicion

LOOKS = ("brightness", "contrast", "darkest", "brightest", "fine_detail", "coarse_detail")
"""The effect of camera and light on an image, all in gray levels, 0..255; a good network partly ignores it."""
_WITNESSES = 8


@dataclass(frozen=True)
class Plain:
    """Plain properties of N examples, by which drift is found without a network.

    what    they are called in sentences
    values  (N, P);  names  of the P properties
    shown   those that a sentence gives the means of: name and unit
    advice  what to do
    """

    what: str
    values: NDArray[np.float32]
    names: tuple[str, ...]
    shown: tuple[tuple[str, str], ...]
    advice: str


def of_images(thumbnails: NDArray[np.uint8]) -> Plain:
    """Looks of gray thumbnails (N, S, S)."""
    advice = (
        "train on images of the same device, site and light as the validation images, or expect lower accuracy on them"
    )
    return Plain("looks", looks(thumbnails), LOOKS, tuple((name, "") for name in LOOKS[:2]), advice)


def drift(
    subject: Subject,
    features: NDArray[np.float32] | None,
    plain: Plain,
    *,
    seed: int,
    groups: Sequence[str] | None = None,
) -> Finding:
    """Training (and calibration: both are the shots) against validation images, by features and plain properties.

    groups  the group of each image (`data.group_by`), None if none are named
    """
    inputs = {plain.what: plain.values} | ({} if features is None else {"features": features})
    tests = {
        name: measure_drift(values, subject.labels, subject.is_val, seed=seed, groups=groups)
        for name, values in inputs.items()
    }
    made = {name: test for name, test in tests.items() if test is not None}
    if not made:
        return Finding(check="drift", verdict="not checked", sentence=f"no class has {subject.noun}s on both sides")
    limit = drifts.ALPHA / len(made)
    least = max(test.least for test in made.values())
    if least > limit:
        what = f"{subject.noun}s" if groups is None else "groups (data.group_by)"
        sentence = (
            f"too few {what} to distinguish drift from chance: p cannot fall below {least:.2g}, and drift needs "
            f"{limit:g}"
        )
        return Finding(check="drift", verdict="not checked", sentence=sentence)
    moved = {name: test for name, test in made.items() if test.p_value <= limit and test.effect >= drifts.MIN_EFFECT}
    numbers = _numbers(made, plain, subject)
    both = f"training and validation {subject.noun}s"
    compared = " and ".join(made)
    if not moved:
        smallest = min(test.p_value for test in made.values())
        sentence = f"{both} do not differ beyond chance in {compared} (smallest p {smallest:.2g})"
        small = [name for name, test in made.items() if test.p_value <= limit]
        if small:
            sentence = f"{both} differ in {' and '.join(small)}, but negligibly"
        return Finding(check="drift", verdict="pass", sentence=sentence, numbers=numbers)
    shift = ", ".join(
        f"{name}: p {test.p_value:.2g}, shift {100 * test.effect:.0f} % of the spread inside a class"
        for name, test in moved.items()
    )
    strongest = max(moved.values(), key=lambda test: test.effect)
    differ = f"validation {subject.noun}s differ from training {subject.noun}s"
    return _drifted(subject, strongest, f"{differ} ({shift}; {_change(numbers, plain)})", plain.advice, numbers)


def _drifted(subject: Subject, test: Drift, sentence: str, advice: str, numbers: dict[str, float]) -> Finding:
    measured = np.flatnonzero(subject.is_val)
    strangest = measured[np.argsort(test.witness[measured], kind="stable")][:_WITNESSES]
    suspects = [
        Suspect(
            pictures=(subject.picture(int(index)),),
            sentence=f"most unlike the training {subject.noun}s",
            score=float(test.witness[index]),
        )
        for index in strangest
    ]
    return suspicion("drift", suspects, sentence, remedy=advice).model_copy(update={"numbers": numbers})


def _numbers(made: dict[str, Drift], plain: Plain, subject: Subject) -> dict[str, float]:
    numbers: dict[str, float] = {"permutations": float(drifts.PERMUTATIONS)}
    for name, test in made.items():
        numbers |= {f"{name}_p_value": test.p_value, f"{name}_effect": test.effect}
    for side, rows in (("train", ~subject.is_val), ("val", subject.is_val)):
        numbers |= {
            f"{side}_{name}": float(value) for name, value in zip(plain.names, _mean(plain.values[rows]), strict=True)
        }
    return numbers


def _change(numbers: dict[str, float], plain: Plain) -> str:
    changes = [
        f"{name} {numbers[f'train_{name}']:.0f} to {numbers[f'val_{name}']:.0f}{f' {unit}' if unit else ''}"
        for name, unit in plain.shown
    ]
    return "mean " + ", ".join(changes)


def _mean(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(rows.mean(axis=0, dtype=np.float64))


def looks(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 6) of gray thumbnails (N, S, S): mean, standard deviation, 5th and 95th percentile, and the logarithm of the
    mean absolute difference of neighboring pixels at full and at a quarter of the size."""
    plane = thumbnails.astype(np.float32)
    side = plane.shape[1] // 4 * 4
    coarse = plane[:, :side, :side].reshape(len(plane), side // 4, 4, side // 4, 4).mean(axis=(2, 4))
    low, high = np.percentile(plane, (5, 95), axis=(1, 2))
    columns = (plane.mean(axis=(1, 2)), plane.std(axis=(1, 2)), low, high, _detail(plane), _detail(coarse))
    return np.stack(columns, axis=1).astype(np.float32)


def _detail(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    across = np.abs(np.diff(plane, axis=2)).mean(axis=(1, 2))
    down = np.abs(np.diff(plane, axis=1)).mean(axis=(1, 2))
    # the logarithm turns light times detail into a sum; half a level keeps blank images finite
    return np.asarray(np.log((across + down) / 2 + 0.5), dtype=np.float32)
