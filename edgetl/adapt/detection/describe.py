"""The record of a search: candidates, reason, guards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from edgetl.adapt.detection.guards import negative_transfer, not_measured, overfitting, small_objects, too_little_data
from edgetl.adapt.detection.held_out import mean_difference, mean_of
from edgetl.adapt.detection.record import Candidate, DetectorAdaptRecord, History, State, Stretch, Times, Unlabeled
from edgetl.adapt.detection.search import Outcome, Task, Tried, own_utility
from edgetl.adapt.detection.unlabeled import unlabeled
from edgetl.adapt.record import Budget, Guard
from edgetl.fronts.views import augment_of
from edgetl.recipes.run import Run
from edgetl.tasks.detection.spec import DetectorSpec
from edgetl.types.findings import Audit

Floats = NDArray[np.float64]

_STRETCHES = 20  # of a training, in the record
_ALONE: State = "not judged: nothing could be held out"


@dataclass(frozen=True)
class Counted:
    """Labeled objects that count in the shots, and the images that have such, by class."""

    objects: Mapping[str, int]
    images: Mapping[str, int]


@dataclass(frozen=True)
class Built:
    """How the detector was built."""

    spec: DetectorSpec
    audit: Audit


def verdicts(task: Task, outcome: Outcome, counted: Counted) -> tuple[Guard, ...]:
    """Negative transfer, overfitting, too little data, small objects."""
    chosen = outcome.chosen
    groups = _held_out_groups(task)
    if chosen.judged is None:
        return (*not_measured(), too_little_data(counted.objects, counted.images, None, None), _size(task))
    utility = chosen.judged.utility
    rivals = [each for each in outcome.tried if each.judged and each.way.frozen != chosen.way.frozen]
    best = max(((each.way.name, each.judged.utility) for each in rivals if each.judged), key=_mean, default=None)
    transfer = negative_transfer(
        chosen.way.name,
        utility,
        None if chosen.way.frozen else best,
        best if chosen.way.frozen else None,
        groups,
        asked_for=task.config.strategy == "finetune",
    )
    return (
        transfer,
        overfitting(own_utility(task), utility, groups),
        too_little_data(counted.objects, counted.images, utility, groups),
        _size(task),
    )


def _size(task: Task) -> Guard:
    p = task.shots.preprocessing
    corners = torch.cat([each.boxes[~each.ignore] for each in task.shots.targets])
    longer = (corners[:, 2:] - corners[:, :2]).amax(1).double().numpy()
    reduced = [max(frame.height / frame.rows, frame.width / frame.columns) for frame in task.shots.frames]
    return small_objects(longer, max(p.height, p.width), float(np.median(reduced)))


def _mean(pair: tuple[str, Floats]) -> float:
    return float(pair[1].mean())


def _held_out_groups(task: Task) -> list[object] | None:
    return None if task.groups is None else [task.groups[index] for index in task.held_out]


def describe(
    run: Run, task: Task, built: Built, outcome: Outcome, guards: tuple[Guard, ...], counted: Counted, minutes: float
) -> DetectorAdaptRecord:
    """The record of a search that was allowed `minutes`."""
    spec = built.spec
    sizes = {name: parameter.numel() for name, parameter in task.detector.named_parameters()}
    chosen, estimated = outcome.chosen, outcome.estimated_minutes
    trained = sum(sizes[name] for name in chosen.way.rates)
    evaluated = any(each.trials for each in outcome.tried)
    longer = f"; training for longer adds {outcome.added_minutes:.1f}" if outcome.added_minutes else ""
    sentence = f"The search was planned to take {estimated:.1f} of {minutes:.1f} minutes on two CPU cores{longer}."
    return DetectorAdaptRecord(
        family=spec.family,
        reason=_reason(task, outcome),
        candidates=tuple(_candidate(task, each, outcome) for each in outcome.tried),
        guards=guards,
        folds=len(task.folds) if evaluated else 0,
        held_out_images=len(task.held_out) if evaluated else 0,
        objects=counted.objects,
        score_threshold=chosen.judged.threshold if chosen.judged else None,
        budget=Budget(minutes, estimated, sentence),
        steps=len(outcome.losses),
        batch_size=task.config.batch_size,
        learning_rate=chosen.way.rate,
        augment=augment_of(run),
        resize=spec.preprocessing.resize,
        audit=built.audit,
        source=spec.source,
        licence=spec.licence,
        frozen_parameters=sum(sizes.values()) - trained,
        trained_parameters=trained,
        device=f"cuda: {torch.cuda.get_device_name(task.device)}" if task.device.type == "cuda" else "cpu",
        unlabeled=_unlabeled(task, chosen),
        history=History(
            {each.way.name: tuple(_stretches(t.losses) for t in each.trials) for each in outcome.tried if each.trials},
            _stretches(outcome.losses),
        ),
    )


def _unlabeled(task: Task, chosen: Tried) -> tuple[Unlabeled, ...]:
    if chosen.judged is None:
        return ()
    found = [objects for trial in chosen.trials for objects in trial.found]
    return unlabeled([task.shots.samples[index] for index in task.held_out], found, task.classes)


def _reason(task: Task, outcome: Outcome) -> str:
    chosen = outcome.chosen
    said = f"Training `{chosen.way.name}`"
    if not task.folds:
        return f"{said}: all objects of a class are in one image or group, so nothing could be held out."
    if chosen.judged is None and any(each.trials for each in outcome.tried):
        return f"{said}: every training on a part of the shots diverged."
    if chosen.judged is None:
        return f"{said}: evaluating it on held-out images is over the budget."
    said += f": utility {chosen.judged.utility.mean():.3f} on {len(task.held_out)} held-out images"
    others = [
        f"`{each.way.name}` {each.judged.utility.mean():.3f}"
        for each in outcome.tried
        if each.judged and each is not chosen
    ]
    said += f"; {', '.join(others) or 'no other way was affordable'}"
    return f"{said}; little is found, so it is trained for longer." if outcome.added_minutes else f"{said}."


def _candidate(task: Task, tried: Tried, outcome: Outcome) -> Candidate:
    chosen = tried is outcome.chosen
    if tried.judged is None:
        state: State = "diverged" if tried.trials else "over budget" if task.folds else _ALONE
        return Candidate(tried.way.name, tried.way.setting, state, tried.way.looks, chosen=chosen)
    groups, utility = _held_out_groups(task), tried.judged.utility
    frozen = [each.judged.utility for each in outcome.tried if each.judged and each.way.frozen]
    best = max(frozen, key=lambda each: float(each.mean()), default=None)
    return Candidate(
        name=tried.way.name,
        setting=tried.way.setting,
        state="judged",
        views=tried.way.looks,
        folds=len(tried.trials),
        seconds=tried.seconds,
        images=len(utility),
        utility=mean_of(utility, groups),
        difference=None if best is None or best is utility else mean_difference(utility, best, groups),
        chosen=chosen,
    )


def _stretches(losses: Sequence[float]) -> tuple[Stretch, ...]:
    ends = np.unique(np.linspace(0, len(losses), _STRETCHES + 1).round().astype(int)).tolist()
    return tuple(Stretch(end, float(np.mean(losses[begin:end]))) for begin, end in pairwise(ends))


def times_of(outcome: Outcome, seconds: float) -> Times:
    """seconds  of the whole stage"""
    return Times(
        seconds=seconds,
        threads=torch.get_num_threads(),
        candidates={each.way.name: each.seconds for each in outcome.tried if each.trials},
        final=outcome.seconds,
    )
