"""What the page shows of a detector's builds besides the tables that all tasks share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgetl.report.confusion import ObjectConfusion, shape_objects
from edgetl.report.detection.curve_plot import MOST_PANELS, ClassCurves, precision_recall
from edgetl.report.detection.model import AveragePrecision, ClassScores, ObjectScores, SizeScores
from edgetl.report.detection.pictures import Both, ImageGroup, choose_images
from edgetl.report.model import Bundle
from edgetl.report.plots import Picture
from edgetl.tasks.base import Answers
from edgetl.tasks.detection.curves import confusion, precision_curve
from edgetl.tasks.detection.match import match
from edgetl.tasks.detection.task import objects
from edgetl.types import Precision, Sample

_MOST_CLASSES = 24


@dataclass(frozen=True)
class Shipped:
    """The build that ships for one target, and what it and the float network answered on the same images."""

    bundle: Bundle
    precision: Precision
    scores: ObjectScores
    samples: tuple[Sample, ...]
    answers: Answers
    reference: Answers


@dataclass(frozen=True)
class ObjectsView:
    """Builds with the same answers; `bundle` is the first of them. classes  those that are shown"""

    names: list[str]
    bundle: Bundle
    scores: ObjectScores
    classes: tuple[ClassScores, ...]
    curves: Picture | None
    more_curves: int
    confusion: ObjectConfusion


@dataclass(frozen=True)
class ImagesView:
    """Images of the first build."""

    target: str
    precision: Precision
    emulated: bool
    threshold: float
    groups: tuple[ImageGroup, ...]


def objects_of(builds: Sequence[Shipped], classes: Sequence[str]) -> list[ObjectsView]:
    """One view for each kind of answers."""
    found: list[tuple[Answers, ObjectsView]] = []
    for build in builds:
        name = f"{build.bundle.target} {build.precision}"
        twin = next((view for answers, view in found if _same(answers, build, view)), None)
        if twin is not None:
            twin.names.append(name)
        else:
            found.append((build.answers, _view(build, name, classes)))
    return [view for _, view in found]


def images_of(builds: Sequence[Shipped], classes: Sequence[str]) -> ImagesView | None:
    """Of the first measured target, or else of the first emulated one."""
    if not builds:
        return None
    build = min(builds, key=lambda each: not each.bundle.measured)
    both = Both(objects(build.answers), objects(build.reference), build.scores.threshold)
    groups = choose_images(build.samples, classes, both, build.precision)
    return ImagesView(build.bundle.target, build.precision, build.bundle.emulated, build.scores.threshold, groups)


def float_ap(found: AveragePrecision) -> float | None:
    """AP of the float network on the same objects."""
    if found.ap is None or found.drop_points is None:
        return None
    return found.ap + found.drop_points / 100


def sizes(found: SizeScores) -> str:
    """`up to 32 x 32 pixels`: the side of a square of this area."""
    least, most = round(found.least_area**0.5), None if found.most_area is None else round(found.most_area**0.5)
    if most is None:
        return f"from {least} × {least} pixels"
    return f"to {most} × {most} pixels" if not least else f"{least} × {least} to {most} × {most} pixels"


def _same(answers: Answers, build: Shipped, view: ObjectsView) -> bool:
    return view.scores.threshold == build.scores.threshold and np.array_equal(answers, build.answers, equal_nan=True)


def _view(build: Shipped, name: str, classes: Sequence[str]) -> ObjectsView:
    truths = [sample.boxes for sample in build.samples]
    found, floats = objects(build.answers), objects(build.reference)
    matches, float_matches = (match(each, truths, len(classes)) for each in (found, floats))
    curves = [
        ClassCurves(scores, precision_curve(matches, label), precision_curve(float_matches, label))
        for label, scores in enumerate(build.scores.classes)
    ]
    known = sum(each.scores.ap50 is not None for each in curves)
    cells = confusion(found, truths, len(classes), build.scores.threshold)
    return ObjectsView(
        names=[name],
        bundle=build.bundle,
        scores=build.scores,
        classes=_shown(build.scores.classes),
        curves=precision_recall(curves, build.precision, build.bundle.target),
        more_curves=max(0, known - MOST_PANELS),
        confusion=shape_objects(cells, classes),
    )


def _shown(classes: tuple[ClassScores, ...]) -> tuple[ClassScores, ...]:
    """All in order, or the ones with the lowest AP if they are too many for a table."""
    if len(classes) <= _MOST_CLASSES:
        return classes
    known = [each for each in classes if each.ap is not None]
    return tuple(sorted(known, key=lambda each: (each.ap or 0.0, each.label))[:_MOST_CLASSES])
