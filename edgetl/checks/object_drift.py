"""Whether the objects of the two sides differ by more than chance in size, or in number per image.

A permutation test over images, or over groups, whose objects are not independent: sides are exchanged, and the
statistic is the sum over classes of squared differences of the mean logarithm, weighted by the numbers of objects
(Good 2005, "Permutation, Parametric and Bootstrap Tests of Hypotheses", chapter 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.checks.drift import ALPHA
from edgetl.checks.model import Finding
from edgetl.checks.objects import Object
from edgetl.checks.subject import Subject

PERMUTATIONS = 1999
LEAST_CHANGE = 1.2
"""Sides of objects, or numbers per image, that differ by less than this factor are no reason for a warning."""
_FEWEST = 5  # objects of a class on each side

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Change:
    """What was compared: p_value of the permutation test, and of each compared class how many times larger the mean of
    the validation side is."""

    p_value: float
    factors: dict[str, float]

    @property
    def largest(self) -> tuple[str, float]:
        return max(self.factors.items(), key=lambda item: max(item[1], 1 / item[1]))


def object_drift(
    subject: Subject, objects: Sequence[Object], *, counts: bool, groups: Sequence[str] | None, seed: int
) -> Finding:
    """Training against validation images.

    counts  whether numbers per image are compared too: not for a draw of a few objects per class, which prefers images
            with rare classes
    """
    sizes = measure(
        [each.sample for each in objects],
        [each.box.label for each in objects],
        [each.side for each in objects],
        subject,
        groups,
        seed,
    )
    tests = {"size": sizes}
    if counts:
        per_image = np.bincount([each.sample for each in objects], minlength=len(subject.samples))
        shown = np.flatnonzero(per_image)
        tests["number"] = measure(
            shown.tolist(), [0] * shown.size, per_image[shown].tolist(), subject, groups, seed, ("objects per image",)
        )
    made = {name: test for name, test in tests.items() if test is not None}
    if not made:
        return Finding(check="objects", verdict="not checked", sentence="too few objects to compare the two sides")
    numbers = {f"{name}_p_value": test.p_value for name, test in made.items()}
    limit = ALPHA / len(made)
    moved = {name: test for name, test in made.items() if test.p_value <= limit}
    large = {name: test for name, test in moved.items() if max(test.largest[1], 1 / test.largest[1]) >= LEAST_CHANGE}
    if not large:
        sentence = f"the objects of both sides do not differ beyond chance in {' and '.join(made)}"
        if moved:
            sentence = f"the objects of both sides differ in {' and '.join(moved)}, but negligibly"
        return Finding(check="objects", verdict="pass", sentence=sentence, numbers=numbers)
    said = []
    for name, test in large.items():
        what, factor = test.largest
        words = f"sides of `{what}`" if name == "size" else what
        said.append(f"{words}: {factor:.2f} times those of training images, p {test.p_value:.2g}")
    return Finding(
        check="objects",
        verdict="warn",
        sentence=f"the objects of the validation images differ ({'; '.join(said)})",
        remedy="train on images of the same distance and scene as the validation images",
        numbers=numbers,
    )


def measure(
    samples: Sequence[int],
    labels: Sequence[int],
    values: Sequence[float],
    subject: Subject,
    groups: Sequence[str] | None,
    seed: int,
    names: Sequence[str] | None = None,
) -> Change | None:
    """Compare positive values of objects: their image, class and value. None if no class has enough on both sides."""
    label = np.array(labels, np.int64)
    unit, second = _units(samples, subject, groups)
    logs = np.log(np.array(values, np.float64))
    on_second = second[unit]
    kinds = [
        each
        for each in np.unique(label).tolist()
        if min(np.count_nonzero(on_second[label == each]), np.count_nonzero(~on_second[label == each])) >= _FEWEST
    ]
    if not kinds:
        return None
    # per unit and class: how many objects, and the sum of their logarithms about the mean of the class
    counts, sums = (np.zeros((len(second), len(kinds))) for _ in range(2))
    for column, each in enumerate(kinds):
        mine = label == each
        np.add.at(counts[:, column], unit[mine], 1.0)
        np.add.at(sums[:, column], unit[mine], logs[mine] - logs[mine].mean())
    observed, differences = _statistic(second[None, :], counts, sums)
    generator = np.random.default_rng(seed)
    drawn = generator.permuted(np.tile(second, (PERMUTATIONS, 1)), axis=1)
    chance, _ = _statistic(drawn, counts, sums)
    p_value = (1 + np.count_nonzero(chance >= observed[0] * (1 - 1e-9))) / (1 + PERMUTATIONS)
    known = subject.classes if names is None else names
    factors = {known[each]: float(np.exp(value)) for each, value in zip(kinds, differences[0], strict=True)}
    return Change(float(p_value), factors)


def _units(
    samples: Sequence[int], subject: Subject, groups: Sequence[str] | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(N,) the unit of each object: its image, or its group on one side; (U,) whether a unit is for validation."""
    sides = subject.is_val
    number: dict[object, int] = {}
    named = [index if groups is None else (groups[index], bool(sides[index])) for index in samples]
    unit = np.array([number.setdefault(name, len(number)) for name in named], np.int64)
    second = np.zeros(len(number), np.bool_)
    second[unit] = sides[np.array(samples, np.int64)]
    return unit, second


def _statistic(second: NDArray[np.bool_], counts: Floats, sums: Floats) -> tuple[Floats, Floats]:
    """second (R, U) -> (R,), and the differences of the means (R, C), 0 where a class is on one side only."""
    on = second.astype(np.float64)
    many, total = on @ counts, counts.sum(axis=0)
    few = total - many
    both = (many > 0) & (few > 0)
    means = (on @ sums) / np.maximum(many, 1) - (sums.sum(axis=0) - on @ sums) / np.maximum(few, 1)
    difference = np.where(both, means, 0.0)
    return (difference**2 * many * few / total).sum(axis=1), difference
