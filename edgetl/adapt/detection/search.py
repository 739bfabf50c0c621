"""Chooses how a detector is trained: every affordable way on held-out folds of the shots, then the best on all."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from edgetl.adapt.detection.budget import MACS_PER_MINUTE, TRIAL_SHARE, affordable, search_minutes
from edgetl.adapt.detection.held_out import Floats, Judged, detect, judge, lead
from edgetl.adapt.detection.inputs import CachedViews, FreshViews, Inputs, cached_views
from edgetl.adapt.detection.shots import Shots
from edgetl.adapt.detection.train import Plan, features_of, train
from edgetl.adapt.detection.views import Ranges
from edgetl.adapt.detection.ways import Anatomy, Way
from edgetl.backbones.speed import side_by_side
from edgetl.errors import UsageError
from edgetl.recipes.recipe import Adapt
from edgetl.tasks.classification.folds import Fold
from edgetl.tasks.detection.detections import Detections
from edgetl.tasks.detection.networks.base import Detector
from edgetl.types import Progress

_CLEAR_LEAD = 0.5  # standard errors by which the less likely way must lead
_LITTLE = 0.1  # utility, below which trials were too short to compare ways: there is nothing to risk, but time to win
_LONGER = 2.0  # training on all shots then


@dataclass(frozen=True)
class Task:
    """A detector to adapt, as built, and all that the search depends on.

    views  of each shot whose features are cached;  folds  that are evaluated, maybe fewer than the shots were dealt to
    """

    detector: Detector
    body: Anatomy
    shots: Shots
    classes: tuple[str, ...]
    ranges: Ranges
    views: int
    folds: tuple[Fold, ...]
    groups: tuple[Hashable, ...] | None
    config: Adapt
    progress: Progress

    @property
    def device(self) -> torch.device:
        return next(self.detector.parameters()).device

    @property
    def held_out(self) -> list[int]:
        """The images of all folds, fold after fold."""
        return [index for fold in self.folds for index in fold.held_out]


@dataclass(frozen=True)
class Trial:
    """One way on one fold: the loss of every step, and what the detector finds in the held-out images."""

    losses: tuple[float, ...]
    found: tuple[Detections, ...]

    @property
    def diverged(self) -> bool:
        return not self.losses or not math.isfinite(self.losses[-1])


@dataclass(frozen=True)
class Tried:
    """A way with its trials; without any if it was over budget or nothing could be held out. `judged` is None if one
    diverged too."""

    way: Way
    trials: tuple[Trial, ...]
    judged: Judged | None
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """The trained detector, all ways that were tried, the chosen one, and the losses of its training on all shots.

    added_minutes  estimated, beyond `estimated_minutes`, of training on all shots for longer than planned
    """

    detector: Detector
    tried: tuple[Tried, ...]
    chosen: Tried
    losses: tuple[float, ...]
    seconds: float
    estimated_minutes: float
    added_minutes: float


def search(task: Task, ways: Sequence[Way], minutes: float) -> Outcome:
    """Try the ways of training that `minutes` allow, and train the best one on all shots, in `task.detector` itself.

    Raises UsageError if that training diverges.
    """
    entered = affordable(ways, task.body, task.folds, len(task.shots), task.views, minutes) if task.folds else ()
    prepared = _inputs(task, entered or ways[:1])
    tried = tuple(_try(task, way, prepared) if way in entered else Tried(way, (), None, 0.0) for way in ways)
    chosen = choose(tried, finetune=task.config.strategy == "finetune", classifier=task.body.new_head)
    estimated = search_minutes(
        entered or (chosen.way,), task.body, task.folds if entered else (), len(task.shots), task.views
    )
    length, added = _length(task, chosen, minutes - estimated)
    start = time.monotonic()
    with task.progress.task("training on all shots", total=_steps(task, chosen.way, length)) as advance:
        everything = range(len(task.shots))
        plan = _plan(task, chosen.way, length)
        losses = train(task.detector, prepared[chosen.way.cached], everything, plan, advance)
    if not math.isfinite(losses[-1]):
        raise UsageError(
            f"adapt.learning_rate: training `{chosen.way.name}` diverged after {len(losses)} steps; choose a lower "
            f"rate than {chosen.way.rate:g}"
        )
    return Outcome(task.detector, tried, chosen, tuple(losses), time.monotonic() - start, estimated, added)


def choose(tried: Sequence[Tried], *, finetune: bool = False, classifier: bool = False) -> Tried:
    """The way with the highest mean utility; the first one if nothing was evaluated, or with `finetune`, which the
    recipe asks for.

    Folds of few images hardly tell ways apart, so the less likely side must lead clearly. With `classifier`, whose
    weights have never found objects, that is a frozen backbone. Otherwise it is a trained one, for which any lead is
    enough if the frozen one finds little.
    """
    if finetune:
        return tried[0]
    frozen, trained = _best(tried, frozen=True), _best(tried, frozen=False)
    if frozen is None or trained is None:
        found = frozen or trained
        return found[0] if found else tried[0]
    least = -_CLEAR_LEAD if classifier else 0.0 if finds_little(frozen[0]) else _CLEAR_LEAD
    return trained[0] if lead(trained[1], frozen[1]) > least else frozen[0]


def _best(tried: Sequence[Tried], *, frozen: bool) -> tuple[Tried, Floats] | None:
    known = [(each, each.judged.utility) for each in tried if each.judged and each.way.frozen == frozen]
    return max(known, key=lambda pair: float(pair[1].mean()), default=None)


def finds_little(tried: Tried) -> bool:
    return tried.judged is not None and float(tried.judged.utility.mean()) < _LITTLE


def _length(task: Task, chosen: Tried, left: float) -> tuple[float, float]:
    """The length of the training on all shots, as a share of the planned one, and the minutes that it adds. No more
    than the minutes `left` if the recipe sets the budget."""
    added = (_LONGER - 1) * chosen.way.macs / MACS_PER_MINUTE
    if not finds_little(chosen) or (task.config.budget_minutes != "auto" and added > left):
        return 1.0, 0.0
    return _LONGER, added


def _inputs(task: Task, ways: Sequence[Way]) -> dict[bool, Inputs]:
    """Inputs by whether they are cached."""
    prepared: dict[bool, Inputs] = {False: FreshViews(task.shots, task.ranges, task.device)}
    if any(way.cached for way in ways):
        prepared[True] = _cached(task)
    return prepared


def _cached(task: Task) -> CachedViews:
    p = task.shots.preprocessing
    features = features_of(task.detector.backbone, torch.zeros(1, 3, p.height, p.width, device=task.device))
    label = f"features of {len(task.shots)} images, {task.views} views"
    with task.progress.task(label, total=len(task.shots) * task.views) as advance:
        return cached_views(features, task.shots, task.ranges, task.views, task.config.seed, task.device, advance)


def _try(task: Task, way: Way, prepared: dict[bool, Inputs]) -> Tried:
    start = time.monotonic()
    label = f"{way.name}: {len(task.folds)} fold{'s' if len(task.folds) > 1 else ''}"
    with task.progress.task(label, total=_steps(task, way, TRIAL_SHARE) * len(task.folds)) as advance:

        def run(fold: Fold) -> Trial:
            detector = copy.deepcopy(task.detector)
            losses = train(detector, prepared[way.cached], fold.train, _plan(task, way, TRIAL_SHARE), advance)
            found = detect(detector, task.shots, fold.held_out) if math.isfinite(losses[-1]) else []
            return Trial(tuple(losses), tuple(found))

        trials = tuple(side_by_side(run, task.folds, task.device))
    judged = None
    if not any(trial.diverged for trial in trials):
        found = [objects for trial in trials for objects in trial.found]
        judged = judge(found, task.shots, task.held_out, len(task.classes))
    return Tried(way, trials, judged, time.monotonic() - start)


def _plan(task: Task, way: Way, share: float = 1.0) -> Plan:
    config = task.config
    return Plan(way.rates, task.body.new, _steps(task, way, share), config.batch_size, config.weight_decay, config.seed)


def _steps(task: Task, way: Way, share: float = 1.0) -> int:
    return max(1, round(share * way.looks) // task.config.batch_size)


def own_utility(task: Task) -> float:
    """The trained detector's mean utility on (at most 100 of) the shots that it was trained on."""
    few = np.unique(np.linspace(0, len(task.shots) - 1, min(len(task.shots), 100)).round().astype(int)).tolist()
    return float(judge(detect(task.detector, task.shots, few), task.shots, few, len(task.classes)).utility.mean())
