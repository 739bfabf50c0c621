"""The guards of several heads on one backbone: does any do worse together than it does alone?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgetl.adapt.budget import allowed_minutes, search_minutes
from edgetl.adapt.compare import judged_trials
from edgetl.adapt.episode import Task
from edgetl.adapt.guards import Judged, clear_lead, lead, too_little_data
from edgetl.adapt.race import Finish
from edgetl.adapt.record import SEVERAL_HEADS, Guard
from edgetl.adapt.trials import HeadChoices, fit_on, run_trial
from edgetl.adapt.verdicts import Adapted, sanity
from edgetl.tasks.classification.folds import Fold
from edgetl.types import HeadClasses, Sample
from edgetl.types.stats import paired_difference

_WORSE = -0.5  # standard errors (`lead`)


def hurt(task: Task, end: Finish) -> tuple[str, ...]:
    """The heads that fine-tuning together leaves clearly worse than a new head alone on the pretrained network: by as
    much as all of them together must gain."""
    if not task.heads:
        return ()
    pairs = {head.name: _of_head(task, head, end.judged, end.rival) for head in task.heads}
    return tuple(name for name, (tuned, probe) in pairs.items() if lead(tuned, probe) <= -clear_lead(len(tuned.right)))


def sanity_of_heads(task: Task, features: NDArray[np.float32]) -> tuple[Guard, ...]:
    """The sanity probe by the labels of the head with the most shots: the features are the same for all."""
    known = task.labels >= 0
    number = int(known.sum(axis=0).argmax())
    return (sanity(task.of_head(task.heads[number]), features[:, known[:, number]]),)


def verdicts_of_heads(task: Task, adapted: Adapted, features: NDArray[np.float32]) -> list[Guard]:
    """One guard for each head, and the head that is known least."""
    best = adapted.heads[0].judged
    if best is None:
        reason = "A class of a head has a single shot, or its shots are in one group, so nothing could be held out."
        return [Guard(SEVERAL_HEADS, "not measured", reason, {})]
    guards = [_together(task, adapted, features, number, best) for number in range(len(task.heads))]
    kept = adapted.end.judged if adapted.end and adapted.tuning else best
    for head in task.heads:
        (own,) = _of_head(task, head, kept)
        found = too_little_data(own.right, len(head.classes))
        guards.append(replace(found, sentence=f"{head.name}: {found.sentence}"))
    return guards


def _together(task: Task, adapted: Adapted, features: NDArray[np.float32], number: int, best: Judged) -> Guard:
    head, end = task.heads[number], adapted.end
    if end is None:
        sentence = (
            f"{head.name}: its new head is fitted on the frozen network by its own labels only, so it does together "
            f"what it does alone ({_share(*_of_head(task, head, best))})."
        )
        return Guard(SEVERAL_HEADS, "pass", sentence, {})
    tuned, probe = _of_head(task, head, end.judged, end.rival)
    numbers = {"labels": float(len(tuned.right)), "together_top1": _top1(tuned), "new_head_top1": _top1(probe)}
    facts = f"{_share(tuned)} together, {_share(probe)} with a new head alone{_difference(tuned, probe)}"
    if adapted.tuning is None:
        worse = f"it did worse ({facts})" if lead(tuned, probe) < _WORSE else facts
        sentence = f"{head.name}: fine-tuning together was rolled back; {worse}. The new head does what it does alone."
        return Guard(SEVERAL_HEADS, "rolled back", sentence, numbers)
    alone = _alone(task, end, number, features, adapted)
    if alone is None:
        said = "; fine-tuning it alone was not tried, because it is over the budget"
    else:
        numbers |= {"alone_top1": _top1(alone)}
        said = f"; {_share(alone)} fine-tuned alone{_difference(tuned, alone)}"
    rival = alone if alone is not None and lead(alone, probe) > 0 else probe
    if lead(tuned, rival) < _WORSE:
        sentence = f"{head.name} does worse together than alone: {facts}{said}. Build it on its own if that matters."
        return Guard(SEVERAL_HEADS, "warn", sentence, numbers)
    return Guard(SEVERAL_HEADS, "pass", f"{head.name} loses nothing by training together: {facts}{said}.", numbers)


def _alone(task: Task, end: Finish, number: int, features: NDArray[np.float32], adapted: Adapted) -> Judged | None:
    """The same fine-tuning by the labels of one head only, on the same folds; None if that is over the budget or
    diverged."""
    config, tuning, folds = task.config, end.runner.tuning, adapted.folds
    cost = len(task.heads) * search_minutes([tuning], folds, len(task.samples), config.epochs)
    if adapted.search_minutes + cost > allowed_minutes(config, len(task.samples)):
        return None
    head, labels = task.heads[number], task.labels[:, number]
    only = _only(task, head)
    own = tuple(Fold(_labeled(fold.train, labels), _labeled(fold.held_out, labels)) for fold in folds)
    choice = adapted.heads[0].choice
    assert isinstance(choice, HeadChoices)
    trials = []
    with task.progress.task(f"guard: {head.name} alone, folds", total=len(folds)) as advance:
        for fold, whole in zip(own, folds, strict=True):
            start = fit_on(task, features, choice, np.array(whole.train))
            trials.append(run_trial(only, tuning, fold, start))
            advance(1)
    found = judged_trials(head.name, trials, config.epochs, own, only.labels, only.heads)
    return None if found is None else found[0]


def _only(task: Task, head: HeadClasses) -> Task:
    """The same shots without the labels of the other heads."""

    def only(sample: Sample) -> Sample:
        label = head.own(sample.truth)
        return replace(sample, truth=() if label < 0 else (head.first + label,))

    split = replace(task.run.split, shots=tuple(map(only, task.samples)))
    return replace(task, run=replace(task.run, split=split))


def _labeled(indices: Sequence[int], labels: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(index for index in indices if labels[index] >= 0)


def _of_head(task: Task, head: HeadClasses, *candidates: Judged) -> tuple[Judged, ...]:
    """The predictions of one head among those of all, which are ordered by image and then by head."""
    truths = [task.samples[image].truth for image in np.unique(_images(candidates[0]))]
    owners = [each.name for truth in truths for each in task.heads if each.own(truth) >= 0]
    own = np.array([owner == head.name for owner in owners])
    return tuple(Judged(each.name, each.right[own], each.loss[own]) for each in candidates)


def _images(judged: Judged) -> NDArray[np.int64]:
    assert judged.images is not None
    return judged.images


def _top1(judged: Judged) -> float:
    return float(judged.right.mean())


def _share(judged: Judged) -> str:
    return f"{_top1(judged):.1%} of {len(judged.right)} held-out labels right"


def _difference(tuned: Judged, other: Judged) -> str:
    points = paired_difference(tuned.right, other.right)
    return f" ({points.value:+.1f} points, {points.low:+.1f} to {points.high:+.1f})"
