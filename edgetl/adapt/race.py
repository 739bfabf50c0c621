"""Compares ways of fine-tuning: all of them on the first fold, the best few on the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.adapt.budget import KEPT
from edgetl.adapt.candidates import judged_row
from edgetl.adapt.compare import judged_trials, subset
from edgetl.adapt.episode import Prepared, Task
from edgetl.adapt.finetune import Epoch, Trained
from edgetl.adapt.guards import Judged, lead
from edgetl.adapt.record import Candidate, State
from edgetl.adapt.trials import HeadChoice, HeadChoices, Tuning, fit_on, run_trial
from edgetl.backbones.freeze import Depth, all_but, blocks, last_parts
from edgetl.backbones.reproducible import draws
from edgetl.backbones.speed import side_by_side
from edgetl.backbones.text.classifier import TextClassifier
from edgetl.tasks.classification.folds import Fold

# Share of the parts to train, and learning rates; the cheapest first, all parts last (docs/decisions/0009).
_SHARES = (1 / 3, 1 / 2, 1.0)
_RATES = ((5e-4,), (2e-4, 5e-4), (2e-4,))
_TEXT_SHARES = (1.0, 1 / 2)  # of the layers; measured on few draws only (docs/decisions/0030-text-networks.md)
_TEXT_RATES = ((5e-5, 1e-4), (1e-4,))


# errors of a network or its library in training; a full disk or a missing image is not its fault
_ODD = (RuntimeError, ValueError, TypeError, IndexError, AttributeError)


@dataclass(frozen=True)
class Runner:
    """A way of fine-tuning and its trials, fold by fold. `entered` is False if it was over the budget; `error` says why
    it could not be trained at all."""

    tuning: Tuning
    entered: bool
    trials: tuple[Trained, ...] = ()
    error: str = ""

    @property
    def seconds(self) -> float:
        return sum(epoch.seconds for trial in self.trials for epoch in trial.history)


@dataclass(frozen=True)
class Finish:
    """The best way of fine-tuning on `images`, and the best head on the same images."""

    runner: Runner
    judged: Judged
    rival: Judged
    images: NDArray[np.int64]


def depths(task: Task) -> tuple[Depth, ...]:
    """The depths of training that the recipe allows. Raises UsageError for a `freeze` that names nothing."""
    config, network = task.config, task.frozen.network
    if config.strategy == "probe":
        return ()
    if config.train_last is not None:
        return (last_parts(network, task.head, config.train_last),)
    if config.freeze != "auto":
        return (all_but(network, task.head, config.freeze),)
    # tables of embeddings stay pretrained: few texts name few of their rows
    kept = len(network.stem) if isinstance(network, TextClassifier) and task.pretrained else 0
    count = len(blocks(network, task.head)) - kept
    if not count:
        return ()
    if task.frozen.spec.preprocessing.front in ("series", "text") and not task.pretrained:
        return (last_parts(network, task.head, count),)  # a random beginning is worth nothing
    shares = _TEXT_SHARES if task.is_of_texts else _SHARES
    chosen = [last_parts(network, task.head, max(1, math.ceil(share * count))) for share in shares]
    return tuple(dict.fromkeys(chosen))


def tunings(task: Task, prepared: Sequence[Prepared]) -> tuple[Tuning, ...]:
    """The candidates, most promising first."""
    given = task.config.learning_rate
    if given != "auto":
        return tuple(Tuning(one, given) for one in prepared)
    usual = _TEXT_RATES if task.is_of_texts else _RATES
    rates = (
        usual if len(prepared) == len(usual) else (_TEXT_RATES[0] if task.is_of_texts else _RATES[1],) * len(prepared)
    )
    return tuple(Tuning(one, rate) for one, own in zip(prepared, rates, strict=True) for rate in own)


def race(
    task: Task,
    entered: Sequence[Tuning],
    folds: Sequence[Fold],
    features: NDArray[np.float32],
    head: HeadChoice | HeadChoices,
) -> list[Runner]:
    """Train `entered` on the folds, each from `head` fitted on the fold's training shots; none without folds."""
    if not folds or not entered:
        return [Runner(tuning, True) for tuning in entered]
    trials: dict[int, list[Trained]] = {index: [] for index in range(len(entered))}
    starts = [fit_on(task, features, head, np.array(fold.train)) for fold in folds]
    alive, epochs, errors = list(trials), task.config.epochs, dict[int, str]()
    total = epochs * (len(entered) + min(KEPT, len(entered)) * (len(folds) - 1))
    # if no more than would be kept, run all folds at once: no thread waits for the end of a round
    first = 1 if len(entered) > KEPT else len(folds)
    with task.progress.task("fine-tuning trials", total=total) as advance:
        for numbers in (range(first), range(first, len(folds))):
            jobs = [(index, number) for index in alive for number in numbers]
            jobs.sort(key=lambda job: -entered[job[0]].prepared.macs)  # the short ones last, to fill idle threads

            def work(job: tuple[int, int]) -> Trained:
                index, number = job
                shown = [0]

                def after_epoch(epoch: Epoch) -> None:
                    shown[0] = epoch.epoch
                    advance(1, _progress_text(entered[index], number, len(folds), epoch, epochs))

                try:
                    trained = run_trial(task, entered[index], folds[number], starts[number], after_epoch)
                except _ODD as error:  # a failure stops none of the others
                    if index not in errors:
                        errors[index] = " ".join(str(error).split()) or type(error).__name__
                        task.progress.note(f"{entered[index].title}: skipped, cannot be trained: {errors[index]}")
                    trained = Trained((), np.zeros((0, 0, 0), np.float32))
                advance(epochs - shown[0])  # for a cached trial, or one that ended early
                return trained

            # random numbers of the network itself (dropout) come from one generator for all threads: runs would differ
            alone = draws(task.frozen.network)
            running = map(work, jobs) if alone else side_by_side(work, jobs, task.frozen.device)
            for job, trained in zip(jobs, running, strict=True):
                trials[job[0]].append(trained)
            alive = _ranked(task, entered, trials, alive, folds)[:KEPT]
    return [Runner(tuning, True, tuple(trials[index]), errors.get(index, "")) for index, tuning in enumerate(entered)]


def _progress_text(tuning: Tuning, number: int, folds: int, epoch: Epoch, epochs: int) -> str:
    held_out = "" if epoch.held_out_top1 is None else f", held-out {epoch.held_out_top1:.1%}"
    return f"{tuning.setting}: fold {number + 1} of {folds}, epoch {epoch.epoch} of {epochs}{held_out}"


def finish(task: Task, runners: Sequence[Runner], folds: Sequence[Fold], best_head: Judged) -> Finish | None:
    """The runner with the largest lead over the best head, among those that ran on all folds; None if all diverged."""
    ends = []
    for runner in runners:
        result = judged_trials(runner.tuning.title, runner.trials, task.config.epochs, folds, task.labels, task.heads)
        if result is not None and len(runner.trials) == len(folds):
            ends.append(Finish(runner, result[0], subset(best_head, result[1]), result[1]))
    return max(ends, key=lambda end: lead(end.judged, end.rival), default=None)


def runner_rows(
    task: Task, runners: Sequence[Runner], folds: Sequence[Fold], best_head: Judged | None, chosen: Tuning | None
) -> list[Candidate]:
    """The report's rows."""
    return [_row(task, runner, folds, best_head, chosen is runner.tuning) for runner in runners]


def _row(task: Task, runner: Runner, folds: Sequence[Fold], best_head: Judged | None, chosen: bool) -> Candidate:
    title, setting = runner.tuning.title, runner.tuning.setting
    result = judged_trials(title, runner.trials, task.config.epochs, folds, task.labels, task.heads)
    if result is None or best_head is None:
        state: State = "diverged" if runner.entered else "over budget"
        if runner.error:
            state, setting = "failed", f"{setting}: {runner.error}"
        if not folds:
            state = "not judged: nothing could be held out"
        return Candidate(title, "finetune", setting, state, len(runner.trials), runner.seconds, chosen=chosen)
    return judged_row(
        result[0],
        subset(best_head, result[1]),
        kind="finetune",
        setting=setting,
        state="judged" if len(runner.trials) == len(folds) else "dropped",
        folds=len(runner.trials),
        seconds=runner.seconds,
        chosen=chosen,
    )


def _ranked(
    task: Task,
    entered: Sequence[Tuning],
    trials: Mapping[int, Sequence[Trained]],
    alive: Sequence[int],
    folds: Sequence[Fold],
) -> list[int]:
    """Those that did not diverge, best first, on the images that all of them were evaluated on."""
    ends = {
        index: judged_trials(entered[index].title, trials[index], task.config.epochs, folds, task.labels, task.heads)
        for index in alive
    }
    found = {index: end[0] for index, end in ends.items() if end is not None}
    if not found:
        return []
    first = next(iter(found.values()))
    return sorted(found, key=lambda index: -lead(found[index], first))
