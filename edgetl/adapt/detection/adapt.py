"""The adapt stage of a detector: turns shots and a backbone into a trained detector and a record of the search."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from edgetl.adapt.detection.budget import allowed_minutes, enough
from edgetl.adapt.detection.describe import Built, Counted, describe, times_of, verdicts
from edgetl.adapt.detection.folds import detection_folds
from edgetl.adapt.detection.record import DetectorAdaptRecord, write_detector_adapt
from edgetl.adapt.detection.search import Task, search
from edgetl.adapt.detection.shots import Shots
from edgetl.adapt.detection.views import ranges_of
from edgetl.adapt.detection.ways import anatomy, views_to_cache, ways_to_train
from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.reproducible import choose_device, deterministic
from edgetl.backbones.speed import channels_last
from edgetl.data.groups import shot_keys
from edgetl.errors import DataError
from edgetl.fronts.image.augment_policy import resizes_of
from edgetl.fronts.views import augment_of
from edgetl.pivot.adapted import NETWORK_SPEC, NETWORK_STATE
from edgetl.recipes.run import Run
from edgetl.tasks.detection.networks.build import build
from edgetl.tasks.detection.spec import write_detector_spec
from edgetl.types import Boxes, Split, WeightSource

Plan = Callable[[int, float, int], str]
"""Gives the time estimate that is reported first, from the multiply-accumulates of an image, the minutes that the
search may take, and how often the network runs over each shot besides."""

_FOLDS = 3


def adapt_detector(run: Run, source: WeightSource, out: Path, plan: Plan | None = None) -> None:
    """Train a detector on the shots; write into the folder `out`:

    network.safetensors, network.json  the trained detector
    adapt.json                         the record of the search
    run.json                           run times: everything that differs between equal runs

    source  the weights of the backbone, or of the whole detector, opened
    The same run on the same machine with the same number of threads gives the same bytes in network.safetensors.
    Raises UsageError, WeightsError, DataError.
    """
    start = time.monotonic()
    recipe, split = run.job.recipe, run.split
    config = recipe.adapt
    truths = tuple(sample.boxes for sample in split.shots)
    counted = _counted(split, truths)
    device = choose_device()
    with deterministic(config.seed, device):
        detector, spec, audit = build(recipe.backbone, recipe.detector, source, len(split.classes), resizes_of(run)[0])
        channels_last(detector.requires_grad_(False).to(device))
        body = anatomy(detector, audit.new, spec.preprocessing, config)
        minutes = allowed_minutes(config, len(split.shots))
        if plan is not None:
            run.progress.note(plan(body.backbone_macs + body.head_macs, minutes, 1))
        groups = shot_keys(run)
        count = config.folds if config.folds != "auto" else _FOLDS
        ranges = ranges_of(augment_of(run))
        task = Task(
            detector=detector,
            body=body,
            shots=Shots(split.shots, spec.preprocessing),
            classes=split.classes,
            ranges=ranges,
            views=views_to_cache(body, ranges, config, len(split.shots)),
            folds=enough(detection_folds(truths, count, config.seed, groups)),
            groups=groups,
            config=config,
            progress=run.progress,
        )
        pretrained = recipe.backbone.pretrained and source.kind != "none"
        ways = ways_to_train(body, spec.family, config, task.views, len(split.shots), pretrained=pretrained)
        outcome = search(task, ways, minutes)
        guards = verdicts(task, outcome, counted)
    write_checkpoint({name: each.contiguous() for name, each in detector.state_dict().items()}, out / NETWORK_STATE)
    record = describe(run, task, Built(spec, audit), outcome, guards, counted, minutes)
    write_detector_spec(replace(spec, score_threshold=record.score_threshold), out / NETWORK_SPEC)
    write_detector_adapt(record, times_of(outcome, time.monotonic() - start), out)
    _report(run, record)


def _counted(split: Split, truths: Sequence[Boxes]) -> Counted:
    """Raises DataError if a class has no labeled object that counts."""
    labels = [[box.label for box in boxes if not box.ignore] for boxes in truths]
    objects = Counter(label for each in labels for label in each)
    images = Counter(label for each in labels for label in set(each))
    absent = [name for index, name in enumerate(split.classes) if not objects[index]]
    if not split.classes or absent:
        raise DataError(
            f"adapt: expected an object of every class in the shots; found {len(truths)} images"
            + (f", no object of {', '.join(absent[:10])}; raise data.shots or label more" if absent else "")
        )
    return Counted(
        {name: objects[index] for index, name in enumerate(split.classes)},
        {name: images[index] for index, name in enumerate(split.classes)},
    )


def _report(run: Run, record: DetectorAdaptRecord) -> None:
    for note in record.audit.notes:
        run.progress.note(f"weights: {note}")
    run.progress.note(record.reason)
    for guard in record.guards:
        if guard.verdict in ("warn", "failed"):
            run.progress.note(f"{'warning' if guard.verdict == 'warn' else guard.verdict}: {guard.sentence}")
    if record.unlabeled:
        first, count = record.unlabeled[0], len(record.unlabeled)
        run.progress.note(
            f"{count} object{'s' * (count > 1)} perhaps not labeled, first {first.label} ({first.score:.2f}) in "
            f"{Path(first.image).name}; the report shows them"
        )
