"""Compares heads and depths of fine-tuning by cross-validation on the shots and trains the winner on all of them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn

from edgetl.adapt.budget import MACS_PER_MINUTE, affordable, allowed_minutes, is_affordable, search_minutes
from edgetl.adapt.choose_head import JudgedHead, head_rows, judge_heads
from edgetl.adapt.compare import chosen_epoch
from edgetl.adapt.episode import Extracted, Task, extract
from edgetl.adapt.finetune import Epoch, finetune, logits_of
from edgetl.adapt.guards import Judged, worth_training
from edgetl.adapt.heads_verdicts import hurt, sanity_of_heads, verdicts_of_heads
from edgetl.adapt.learning_curve import learning_curve
from edgetl.adapt.losses import scores_of_heads
from edgetl.adapt.race import Finish, Runner, depths, finish, race, runner_rows, tunings
from edgetl.adapt.record import Candidate, Guard, LearningCurve
from edgetl.adapt.snapshot import Snapshots
from edgetl.adapt.trials import HeadChoices, Tuning, fit_on, plan_of, trial_key, write_head
from edgetl.adapt.verdicts import Adapted, sanity, verdicts
from edgetl.backbones.cut import whole_macs
from edgetl.backbones.freeze import is_under
from edgetl.files.digest import value_digest
from edgetl.tasks.classification.folds import Fold, folds_of_heads, stratified_folds
from edgetl.tasks.classification.heads.head import Head

UNFINISHED = "unfinished"
"""Folder in the cache with the states from which killed trainings resume."""
_ALONE = "a class has a single shot, or its shots are in one group"
_FEW_SHOTS, _FOLDS_OF_FEW, _FOLDS = 60, 5, 3


@dataclass(frozen=True)
class Outcome:
    """The outcome and its reason. `network` is adapted and in eval mode; `epochs` of fine-tuning, 0 for a head."""

    network: nn.Module
    strategy: Literal["probe", "finetune"]
    reason: str
    head: str
    tuning: Tuning | None
    candidates: tuple[Candidate, ...]
    guards: tuple[Guard, ...]
    folds: int
    runners: tuple[Runner, ...]
    final: tuple[Epoch, ...]
    budget_minutes: float
    estimated_minutes: float
    learning_curve: LearningCurve | None

    @property
    def epochs(self) -> int:
        return len(self.final) if self.tuning else 0


@dataclass(frozen=True)
class _Search:
    """The result of cross-validation. `end` is the best fine-tuning, None if none was evaluated."""

    folds: tuple[Fold, ...]
    heads: tuple[JudgedHead, ...]
    runners: tuple[Runner, ...]
    end: Finish | None
    budget_minutes: float
    estimated_minutes: float


@dataclass(frozen=True)
class _Made:
    """The resulting network, and why. `tuning` is None if it has only a new head."""

    network: nn.Module
    tuning: Tuning | None
    final: tuple[Epoch, ...]
    reason: str


def adapt(task: Task) -> Outcome:
    """Adapt the network of `task` by the configured strategy.

    Raises UsageError for a `freeze` that names nothing, WeightsError for weights without information.
    """
    folds, wanted = _folds(task), depths(task)
    # without evaluation, fine-tune only if the recipe asks for it
    found = extract(task, wanted if folds or task.config.strategy == "finetune" else (), _worth(task, folds))
    sane = sanity_of_heads(task, found.features) if task.heads else (sanity(task, found.features),)
    search = _search(task, found, folds)
    made = _make(task, found, search)
    best = search.heads[0]
    adapted = Adapted(
        made.network,
        search.heads,
        search.end,
        made.tuning,
        len(made.final),
        search.folds,
        _macs(task, search),
        search.estimated_minutes,
    )
    fine = runner_rows(task, search.runners, search.folds, best.judged, made.tuning)
    return Outcome(
        network=made.network,
        strategy="finetune" if made.tuning else "probe",
        reason=made.reason,
        head=best.choice.title,
        tuning=made.tuning,
        candidates=(*head_rows(search.heads, len(search.folds), chosen=made.tuning is None), *fine),
        guards=(*sane, *(verdicts_of_heads(task, adapted, found.features) if task.heads else verdicts(task, adapted))),
        folds=len(search.folds),
        runners=search.runners,
        final=made.final,
        budget_minutes=search.budget_minutes,
        estimated_minutes=search.estimated_minutes,
        learning_curve=_learning_curve(task, found, search),
    )


def _learning_curve(task: Task, found: Extracted, search: _Search) -> LearningCurve | None:
    head = search.heads[0].choice
    if isinstance(head, HeadChoices):
        return None
    return learning_curve(head.name, found.features[0], task.labels, task.num_classes, search.folds, task.config.seed)


def _worth(task: Task, folds: tuple[Fold, ...]) -> Callable[[int], bool]:
    """Whether a depth may be trained, by its multiply-accumulates per image."""
    config, shots = task.config, len(task.samples)
    minutes = allowed_minutes(config, shots)
    forced = config.strategy == "finetune"
    return lambda macs: forced or is_affordable(macs, folds, shots, config.epochs, minutes)


def _macs(task: Task, search: _Search) -> float:
    """The cost of features and search; `search_minutes` covers the latter."""
    features = len(task.samples) * (1 + task.views) * whole_macs(task.frozen)
    return features + search.estimated_minutes * MACS_PER_MINUTE


def _folds(task: Task) -> tuple[Fold, ...]:
    few = len(task.samples) < _FEW_SHOTS
    count = task.config.folds if task.config.folds != "auto" else (_FOLDS_OF_FEW if few else _FOLDS)
    if task.heads:
        return folds_of_heads(task.labels, count, task.config.seed, task.groups)
    return stratified_folds(task.labels.tolist(), count, task.config.seed, task.groups)


def _search(task: Task, found: Extracted, folds: tuple[Fold, ...]) -> _Search:
    config, shots = task.config, len(task.samples)
    heads = judge_heads(task, found.features, folds)
    candidates, budget = tunings(task, found.depths), allowed_minutes(config, shots)
    entered: Sequence[Tuning] = affordable(candidates, folds, shots, config.epochs, budget) if folds else ()
    if config.strategy == "finetune" and not entered:
        entered = candidates[:1]  # requested: done at any cost
    runners = race(task, entered, folds, found.features, heads[0].choice)
    left = [Runner(tuning, False) for tuning in candidates if tuning not in entered]
    best = heads[0].judged
    end = finish(task, runners, folds, best) if best is not None and folds else None
    estimate = search_minutes(entered, folds, shots, config.epochs)
    return _Search(folds, heads, (*runners, *left), end, budget, estimate)


def _make(task: Task, found: Extracted, search: _Search) -> _Made:
    forced = task.config.strategy == "finetune"
    head = fit_on(task, found.features, search.heads[0].choice, np.arange(len(task.samples)))
    probed = copy.deepcopy(task.frozen.network)
    write_head(probed, task.head, head)
    end = search.end
    wins = end is not None and _wins(task, end)
    blind = forced and not search.folds and bool(search.runners)
    if not (wins or blind or (forced and end is not None)):
        return _Made(probed, None, (), _why_not(task, search))
    runner = end.runner if end is not None else search.runners[0]
    network = copy.deepcopy(runner.tuning.prepared.tail)
    write_head(network, task.head, head)
    final = _train_on_all(task, runner, network, head)
    reached, least = _own_top1(task, runner, network), float(end.judged.right.mean()) if end is not None else 0.0
    if (
        not math.isfinite(final[-1].train_loss) or reached < least
    ):  # it was trained on these shots, so they are the easy ones
        reason = (
            f"{_titled(search.heads[0])}: fine-tuning on all shots was rolled back, because it ended with only "
            f"{reached:.1%} of its own shots right, while its trials had {least:.1%} of the held-out ones right."
        )
        return _Made(probed, None, final, reason)
    merged = _merged(task, runner.tuning, probed, network)
    return _Made(merged, runner.tuning, final, _why(end, _judged_of(task), forced=forced and not wins))


def _wins(task: Task, end: Finish) -> bool:
    return worth_training(end.judged, end.rival, len(end.images), pretrained=task.pretrained) and not hurt(task, end)


def _train_on_all(task: Task, runner: Runner, network: nn.Module, head: Head) -> tuple[Epoch, ...]:
    plan = plan_of(task, runner.tuning)
    count = chosen_epoch(runner.trials, plan.epochs) or plan.epochs
    name = value_digest([trial_key(task, runner.tuning, Fold(tuple(range(len(task.samples))), ()), head), count])[:32]
    with task.progress.task("fine-tuning on all shots", total=count) as advance:
        everything = range(len(task.samples))
        inputs = runner.tuning.prepared.inputs
        return finetune(
            network,
            inputs,
            task.labels,
            everything,
            (),
            plan,
            stop_after=count,
            after_epoch=lambda epoch: advance(1, f"loss {epoch.train_loss:.3f}"),
            snapshots=Snapshots(task.cache / UNFINISHED / f"{name}.safetensors"),
        ).history


def _own_top1(task: Task, runner: Runner, network: nn.Module) -> float:
    logits = logits_of(network, runner.tuning.prepared.inputs, range(len(task.samples)))
    if task.heads:
        return scores_of_heads(logits, task.labels, task.heads)[1]
    return float((logits.argmax(1) == task.labels).mean())


def _merged(task: Task, tuning: Tuning, whole: nn.Module, tail: nn.Module) -> nn.Module:
    """The whole network with the trained part in it. Frozen tensors are proven unchanged."""
    before = {name: tensor.clone() for name, tensor in whole.state_dict().items()}
    whole.load_state_dict({**before, **tail.state_dict()}, strict=True)
    trained = (*tuning.prepared.depth.parts, task.head)
    buffers = {name for name, _ in whole.named_buffers()}
    may_move = set() if task.config.batch_norm == "trained" else buffers
    moved = [
        name
        for name, tensor in whole.state_dict().items()
        if (name in may_move or not is_under(name, trained)) and not torch.equal(tensor, before[name])
    ]
    if moved:
        raise AssertionError(f"frozen tensors changed in training: {', '.join(moved[:10])}; this is a bug in edgetl")
    return whole


def _why(end: Finish | None, what: str, *, forced: bool) -> str:
    if end is None:
        return f"Fine-tuning: the recipe asks for it; {_ALONE}, so nothing could be held out."
    if forced:
        return f"Fine-tuning: the recipe asks for it, although {_numbers(end, what)}."
    return f"Fine-tuning: {_numbers(end, what)}."


def _why_not(task: Task, search: _Search) -> str:
    title = _titled(search.heads[0])
    if task.config.strategy == "probe":
        return f"{title}: the recipe asks for a probe."
    if not search.folds:
        return f"{title}: {_ALONE}, so nothing could be held out to evaluate fine-tuning."
    if not search.runners:
        return f"{title}: there is nothing else to train in this network."
    if not any(runner.entered for runner in search.runners):
        return f"{title}: every way of fine-tuning is over the budget of {search.budget_minutes:.1f} minutes."
    if search.end is None:
        errors = [runner.error for runner in search.runners if runner.error]
        return f"{title}: fine-tuning {f'failed ({errors[0]})' if errors else 'diverged in every trial'}."
    if worse := hurt(task, search.end):
        named = " and ".join(f"`{name}`" for name in worse)
        return f"{title}: fine-tuning was rolled back, because together {named} did worse than with a new head alone."
    verdict = "not clearly better" if task.pretrained else "clearly worse"
    return (
        f"{title}: fine-tuning was rolled back, because {_numbers(search.end, _judged_of(task))}, which is {verdict}."
    )


def _judged_of(task: Task) -> str:
    return "labels" if task.heads else "shots"


def _numbers(end: Finish, what: str) -> str:
    def describe(judged: Judged) -> str:
        return f"{judged.right.mean():.1%} right (loss {judged.loss.mean():.3f})"

    return (
        f"on {len(end.judged.right)} held-out {what} `{end.judged.name}` had {describe(end.judged)}, "
        f"the best head {describe(end.rival)}"
    )


def _titled(head: JudgedHead) -> str:
    return f"New head ({head.choice.title})"
