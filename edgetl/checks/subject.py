"""The subject of the checks: the samples of both sides in one order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.checks.model import MAX_SUSPECTS, CheckName, Finding, Picture, Side, Suspect
from edgetl.data.groups import SplitKeys
from edgetl.data.names import first_of
from edgetl.fronts.base import load_front
from edgetl.types import HeadClasses, Sample, Split
from edgetl.types.data import labels_of

_VERDICTS = ("pass", "not checked", "warn", "refuse")
"""From good to bad."""


@dataclass(frozen=True)
class Subject:
    """Shots first, then validation images. Index i means `samples[i]` in every check. `noun`: one of them; `heads` of
    several."""

    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    shots: int
    noun: str = "image"
    heads: tuple[HeadClasses, ...] = ()

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) class indices; 0 for images with objects, which have no class of their own. With several heads the
        number of the combination of labels."""
        if self.heads:
            truths = [labels_of(sample.truth) for sample in self.samples]
            numbers = {truth: number for number, truth in enumerate(sorted(set(truths)))}
            return np.array([numbers[truth] for truth in truths], dtype=np.int64)
        return np.array([label_of(sample) for sample in self.samples], dtype=np.int64)

    @property
    def is_val(self) -> NDArray[np.bool_]:
        """(N,) whether it is a validation image."""
        return np.arange(len(self.samples)) >= self.shots

    @property
    def sides(self) -> tuple[Side, ...]:
        return tuple("val" if index >= self.shots else "train" for index in range(len(self.samples)))

    @cached_property
    def root(self) -> str:
        """The deepest folder that contains all images: names in sentences are relative to it."""
        return os.path.commonpath([str(Path(sample.path).parent) for sample in self.samples]) if self.samples else ""

    def short(self, path: str) -> str:
        """The path below `root`, or unchanged if it lies elsewhere."""
        return os.path.relpath(path, self.root) if self.root and Path(path).is_relative_to(self.root) else path

    def named(self, suspects: Sequence[Suspect]) -> str:
        """The files of the first suspects, each once, and how many more."""
        return first_of(list(dict.fromkeys(self.short(suspect.pictures[0].path) for suspect in suspects)))

    def picture(self, index: int) -> Picture:
        sample = self.samples[index]
        side: Side = "val" if index >= self.shots else "train"
        label = self.classes[sample.truth] if isinstance(sample.truth, int) else ""
        if self.heads:
            label = " and ".join(self.classes[each] for each in labels_of(sample.truth))
        return Picture(path=sample.path, side=side, label=label)

    def of_head(self, head: HeadClasses) -> tuple[Subject, list[int]]:
        """The samples that are labeled for one head, with its classes, and their rows."""
        rows = [row for row, sample in enumerate(self.samples) if head.own(sample.truth) >= 0]
        samples = tuple(replace(self.samples[row], truth=head.own(self.samples[row].truth)) for row in rows)
        shots = sum(row < self.shots for row in rows)
        return replace(self, classes=head.classes, samples=samples, shots=shots, heads=()), rows


def label_of(sample: Sample) -> int:
    """The class of an image; 0 for one with objects."""
    return sample.truth if isinstance(sample.truth, int) else 0


def noun_of(split: Split) -> str:
    """One file of the split, in sentences."""
    return load_front(split.front).noun


def whole(split: Split) -> Subject:
    """All images of the split."""
    return Subject(split.classes, (*split.shots, *split.val), len(split.shots), noun_of(split), split.heads)


def beginning(split: Split, most: int) -> Subject:
    """At most `most` images of each side. A split takes classes in turn, in the order of the seeded draw, so its
    beginning is a stratified, seeded sample."""
    shots = split.shots[:most]
    return Subject(split.classes, (*shots, *split.val[:most]), len(shots), noun_of(split), split.heads)


def rows_of(looked_at: Subject, split: Split) -> list[int]:
    """Where the samples of `beginning` are in `whole`."""
    measured, first_val = len(looked_at.samples) - looked_at.shots, len(split.shots)
    return [*range(looked_at.shots), *range(first_val, first_val + measured)]


def groups_of(keys: SplitKeys | None, subject: Subject) -> tuple[str, ...] | None:
    """The group of each of the subject's samples, which come first on both sides."""
    if keys is None:
        return None
    return (*keys.shots[: subject.shots], *keys.val[: len(subject.samples) - subject.shots])


def suspicion(
    check: CheckName, suspects: Sequence[Suspect], sentence: str, *, verdict: str = "warn", remedy: str = ""
) -> Finding:
    """A finding that lists the first of its suspects."""
    return Finding.model_validate(
        {
            "check": check,
            "verdict": verdict,
            "sentence": sentence,
            "remedy": remedy,
            "found": len(suspects),
            "suspects": tuple(suspects[:MAX_SUSPECTS]),
        }
    )


def by_head(found: Sequence[tuple[str, Finding]]) -> Finding:
    """The findings of one check for several heads, by name, as one."""
    worst = max((finding for _, finding in found), key=lambda finding: _VERDICTS.index(finding.verdict))
    return worst.model_copy(
        update={
            "sentence": "; ".join(f"{name}: {finding.sentence}" for name, finding in found),
            "found": sum(finding.found for _, finding in found),
            "suspects": tuple(each for _, finding in found for each in finding.suspects)[:MAX_SUSPECTS],
            "numbers": {f"{name}/{key}": value for name, one in found for key, value in one.numbers.items()},
        }
    )
