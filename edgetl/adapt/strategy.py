"""Probe or fine-tuning: judged on held-out shots, with a way back when fine-tuning is worse."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgetl.adapt.finetune import Epoch, Judgement, Setting, Shots, finetune, judge
from edgetl.adapt.holdout import Part, hold_out
from edgetl.adapt.probe import fit_probe
from edgetl.backbones.head import set_head
from edgetl.types import Progress


@dataclass(frozen=True)
class Candidate:
    """A strategy and how it did on the held-out shots; None where nothing was held out or training diverged."""

    name: str
    held_out_top1: float | None
    held_out_loss: float | None
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What was done and why. `epochs` fine-tuning epochs made the final network, 0 for a probe."""

    strategy: str
    reason: str
    candidates: tuple[Candidate, ...]
    held_out_images: int
    trials: tuple[tuple[Epoch, ...], ...]
    final: tuple[Epoch, ...]
    epochs: int
    probe_strength: float


@dataclass(frozen=True)
class Task:
    """One adaptation. views float32 (V, N, F) are the cached features of the shots, view 0 plain."""

    network: nn.Module
    shots: Shots
    views: NDArray[np.float32]
    num_classes: int
    setting: Setting


def adapt(task: Task, progress: Progress) -> Outcome:
    """Adapt `task.network` in place by the configured strategy; it ends in eval mode."""
    config = task.setting.config
    if config.strategy == "probe":
        return _probe_only(task, "the recipe asks for a probe")
    parts = hold_out(task.shots.labels.tolist(), config.held_out, config.seed)
    if not parts and config.strategy == "auto":
        return _probe_only(task, "a class has a single shot, so nothing could be held out to judge fine-tuning by")
    if not parts:
        return _finetune_blind(task, progress)
    return _compare(task, parts, progress)


def _probe_only(task: Task, reason: str) -> Outcome:
    start = time.monotonic()
    strength = _write_probe(task, task.network, range(len(task.shots.images)))
    candidates = (Candidate("probe", None, None, time.monotonic() - start),)
    return Outcome("probe", f"Probe: {reason}.", candidates, 0, (), (), 0, strength)


def _finetune_blind(task: Task, progress: Progress) -> Outcome:
    everything = range(len(task.shots.images))
    strength = _write_probe(task, task.network, everything)
    final = _train(task, task.network, everything, (), task.setting.config.epochs, progress, "fine-tuning")
    reason = "Fine-tuning: the recipe asks for it; a class has a single shot, so all epochs were run unjudged."
    candidates = (Candidate("finetune", None, None, sum(epoch.seconds for epoch in final)),)
    return Outcome("finetune", reason, candidates, 0, (), final, len(final), strength)


def _compare(task: Task, parts: Sequence[Part], progress: Progress) -> Outcome:
    trials = [_try(task, part, progress) for part in parts]
    probe = _mean([trial.probe for trial in trials])
    epochs, tuned = best_epoch([trial.history for trial in trials])
    candidates = (
        Candidate("probe", probe.top1, probe.loss, sum(trial.probe_seconds for trial in trials)),
        Candidate(
            "finetune",
            tuned.top1 if tuned else None,
            tuned.loss if tuned else None,
            sum(epoch.seconds for trial in trials for epoch in trial.history),
        ),
    )
    images = sum(len(part.held_out) for part in parts)
    histories = tuple(trial.history for trial in trials)
    everything = range(len(task.shots.images))
    strength = _write_probe(task, task.network, everything)
    wins = tuned is not None and is_better(tuned, probe)
    if tuned is None or not (wins or task.setting.config.strategy == "finetune"):
        return Outcome("probe", _reason(probe, tuned, images), candidates, images, histories, (), 0, strength)
    before = copy.deepcopy(task.network.state_dict())
    final = _train(task, task.network, everything, (), epochs, progress, "fine-tuning on all shots")
    reached = judge(task.network, task.shots, everything, task.setting)
    if not (math.isfinite(reached.loss) and reached.top1 >= tuned.top1):  # it saw these shots: they are the easy ones
        task.network.load_state_dict(before)
        reason = (
            f"Probe: fine-tuning on all shots was rolled back, because it ended with only {reached.top1:.1%} of its "
            f"own shots right, where the trial had {tuned.top1:.1%} of {images} held-out shots."
        )
        return Outcome("probe", reason, candidates, images, histories, final, 0, strength)
    reason = _reason(probe, tuned, images, forced=not wins)
    return Outcome("finetune", reason, candidates, images, histories, final, len(final), strength)


@dataclass(frozen=True)
class _Trial:
    probe: Judgement
    probe_seconds: float
    history: tuple[Epoch, ...]


def _try(task: Task, part: Part, progress: Progress) -> _Trial:
    network = copy.deepcopy(task.network)
    start = time.monotonic()
    _write_probe(task, network, part.train)
    probe = judge(network, task.shots, part.held_out, task.setting)
    seconds = time.monotonic() - start
    epochs = task.setting.config.epochs
    history = _train(task, network, part.train, part.held_out, epochs, progress, "fine-tuning, held-out trial")
    return _Trial(probe, seconds, history)


def best_epoch(histories: Sequence[Sequence[Epoch]]) -> tuple[int, Judgement | None]:
    """The epoch with the smallest held-out loss, averaged over trials, among those that all trials reached.

    (0, None) when no epoch has a finite one.
    """
    judged = [
        _mean([epoch.held_out for epoch in column if epoch.held_out is not None])
        for column in zip(*histories, strict=False)
    ]
    finite = [(value.loss, number, value) for number, value in enumerate(judged, 1) if math.isfinite(value.loss)]
    if not finite:
        return 0, None
    _, number, value = min(finite, key=lambda entry: entry[:2])
    return number, value


def _mean(judgements: Sequence[Judgement]) -> Judgement:
    count = len(judgements)
    return Judgement(sum(each.loss for each in judgements) / count, sum(each.top1 for each in judgements) / count)


def is_better(tuned: Judgement, probe: Judgement) -> bool:
    """Higher accuracy on the held-out shots; on a tie, lower loss."""
    return (tuned.top1, -tuned.loss) > (probe.top1, -probe.loss)


def _write_probe(task: Task, network: nn.Module, indices: Sequence[int]) -> float:
    chosen = list(indices)
    labels = task.shots.labels.numpy()[chosen]
    probe = fit_probe(task.views[:, chosen], labels, task.num_classes, seed=task.setting.config.seed)
    weight, bias = torch.from_numpy(probe.weight).float(), torch.from_numpy(probe.bias).float()
    set_head(network, task.setting.head, weight, bias)
    return probe.strength


def _train(
    task: Task,
    network: nn.Module,
    train: Sequence[int],
    held_out: Sequence[int],
    epochs: int,
    progress: Progress,
    label: str,
) -> tuple[Epoch, ...]:
    history = finetune(
        network, task.shots, train, held_out, task.setting, epochs=epochs, progress=progress, label=label
    )
    return tuple(history)


def _reason(probe: Judgement, tuned: Judgement | None, images: int, *, forced: bool = False) -> str:
    if tuned is None:
        return f"Probe: fine-tuning diverged (its loss on {images} held-out shots was never finite)."
    numbers = (
        f"on {images} held-out shots fine-tuning had {tuned.top1:.1%} right (loss {tuned.loss:.3f}), "
        f"the probe {probe.top1:.1%} (loss {probe.loss:.3f})"
    )
    if forced:
        return f"Fine-tuning: the recipe asks for it, although {numbers}."
    if is_better(tuned, probe):
        return f"Fine-tuning: {numbers}."
    return f"Probe: fine-tuning was rolled back, because {numbers}."
