"""Accuracy of finished bundles on labeled images or clips, of classifiers and detectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgetl.bench.measurement import HeadTop1, LabelPrecision, LabelRecall
from edgetl.bundle.read import Bundle
from edgetl.data.head_sources import read_labeled
from edgetl.data.labeled import labeled_objects, match_labels
from edgetl.data.scan import locate
from edgetl.data.survey import listing_of
from edgetl.errors import BundleError, DataError
from edgetl.fronts.audio.window import USUAL_S
from edgetl.fronts.base import load_front
from edgetl.fronts.batches import batches, frames_of, usable
from edgetl.fronts.text.read import read_example
from edgetl.fronts.text.shown import is_cut
from edgetl.tasks.base import load_task
from edgetl.tasks.classification.accuracy import Accuracy
from edgetl.tasks.detection.scores import DetectionScores, OfClass
from edgetl.tasks.heads.scores import HeadScores
from edgetl.tasks.quality import QualityRecord
from edgetl.tasks.running import answer_all
from edgetl.types import AudioPreprocessing, Engine, Preprocessing, Progress, Sample, TextPreprocessing


def labeled(data: Path, bundles: Mapping[str, Bundle], progress: Progress) -> tuple[Sample, ...]:
    """The usable examples of `data` with the labels of the bundles; notes what is skipped.

    Raises BundleError if the bundles have different labels or tasks; DataError if there are no usable examples.
    """
    first, *others = bundles.values()
    for other in others:
        known, own = ((each.manifest.labels, each.manifest.heads, each.manifest.task) for each in (first, other))
        if own != known:
            raise BundleError(
                f"{other.folder}: has other labels than {first.folder}; measure their accuracy one by one"
            )
    if first.manifest.task == "detection":
        objects = labeled_objects(data, first.manifest.labels, str(first.folder))
        samples, notes = objects.samples, objects.notes()
    elif first.manifest.heads:
        labels = read_labeled(locate(Path(), str(data)), first.manifest.heads, first.manifest.front)
        samples = tuple(Sample(path, truth, "") for path, truth in labels.truths.items())
        notes = ()
    else:
        p = first.manifest.preprocessing
        seconds = p.samples / p.rate_hz if isinstance(p, AudioPreprocessing) else USUAL_S
        listing = listing_of(data, first.manifest.front, seconds)
        matched = match_labels(listing, first.manifest.labels, str(first.folder))
        samples, notes = matched.samples, matched.notes()
    for note in notes:
        progress.note(f"{data}: {note}")
    found = usable(samples, first.manifest.preprocessing, progress)
    if not found:
        noun = load_front(first.manifest.front).noun
        raise DataError(f"{data}: none of {len(samples)} {noun}s can be used; replace them")
    _note_cut(found, first.manifest.preprocessing, str(data), progress)
    return found


def _note_cut(samples: Sequence[Sample], p: Preprocessing, where: str, progress: Progress) -> None:
    if not isinstance(p, TextPreprocessing):
        return
    cut = sum(is_cut(read_example(Path(sample.path)), p) for sample in samples)
    if cut:
        longest = p.lengths[-1]
        progress.note(f"{where}: {cut} of {len(samples)} texts have more than {longest} tokens: their end is not read")


def judge(
    engines: Mapping[str, Engine],
    bundles: Mapping[str, Bundle],
    samples: Sequence[Sample],
    preprocessing: Preprocessing,
    progress: Progress,
) -> dict[str, QualityRecord]:
    """How good every bundle is, against the labels and against the first bundle on the same examples; nothing without
    them. A detector is measured at its own working point."""
    if not samples:
        return {}
    first = next(iter(bundles.values())).manifest
    task = load_task(first.task, first.heads)
    frames = frames_of(samples, preprocessing) if task.in_image else ()
    with progress.task("accuracy", total=len(samples)) as advance:
        answers = answer_all(task, engines, batches(samples, preprocessing), frames, advance)
    truths, reference = [sample.truth for sample in samples], answers[next(iter(bundles))]
    return {
        key: task.measure(answers[key], truths, reference, len(first.labels), settings=bundle.manifest.postprocess)
        for key, bundle in bundles.items()
    }


def figures_of(found: QualityRecord | None, labels: Sequence[str], *, is_first: bool) -> dict[str, Any]:
    """The fields of `BundleMeasurement` about accuracy. The first bundle is the reference of the drops and has none."""
    if found is None:
        return {"top1": None}
    figures: dict[str, Any] = {
        "metric": found.score.metric,
        "score": found.score.value,
        "top1": found.top1 if isinstance(found, Accuracy) else None,
        "drop_points": None if is_first else found.drop_points,
    }
    if isinstance(found, DetectionScores):
        classes = zip(labels, found.classes, strict=True)
        return figures | {"precisions": tuple(_precision(label, each, is_first=is_first) for label, each in classes)}
    recalls = zip(labels, found.recalls, strict=True)
    if isinstance(found, HeadScores):
        figures |= {"heads": tuple(_of_head(name, each, is_first=is_first) for name, each in found.measured)}
    return figures | {
        "recalls": tuple(
            LabelRecall(label, each.images, each.recall, None if is_first else each.drop_points)
            for label, each in recalls
        )
    }


def _of_head(head: str, found: Accuracy, *, is_first: bool) -> HeadTop1:
    return HeadTop1(head, found.images, found.top1, None if is_first else found.drop_points)


def _precision(label: str, found: OfClass, *, is_first: bool) -> LabelPrecision:
    lost = found.ap.drop_points if found.ap and not is_first else None
    return LabelPrecision(label, found.objects, found.ap.value if found.ap else None, lost)
