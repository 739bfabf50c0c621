"""The adapt stage: turns shots and a backbone into an adapted network and a record of the search."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgetl.adapt import finetune
from edgetl.adapt.batch_norm import reestimate
from edgetl.adapt.budget import allowed_minutes
from edgetl.adapt.choose_resize import choose_resize, with_resize
from edgetl.adapt.episode import Task, views_of_head
from edgetl.adapt.record import AdaptRecord, Budget, Epoch, HeldOut, History, ResizeChoice, Times, write_adapt
from edgetl.adapt.strategy import UNFINISHED, Outcome, adapt
from edgetl.adapt.suited import suited
from edgetl.adapt.tokens import prove_tokens
from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.classifier import features, get_head
from edgetl.backbones.cut import whole_macs
from edgetl.backbones.examples import load_raw, normalize
from edgetl.backbones.extract import Frozen, freeze_network
from edgetl.backbones.freeze import is_under
from edgetl.backbones.input_choice import input_choice
from edgetl.backbones.load import build
from edgetl.backbones.reproducible import choose_device, deterministic
from edgetl.backbones.spec import write_spec
from edgetl.data.groups import shot_keys
from edgetl.errors import DataError, UsageError
from edgetl.fronts.image.augment_policy import resizes_of
from edgetl.fronts.views import augment_of
from edgetl.pivot.adapted import NETWORK_SPEC, NETWORK_STATE
from edgetl.recipes.run import Run
from edgetl.types import Progress, ResizePolicy, Split, WeightSource
from edgetl.types.data import labels_of
from edgetl.types.findings import Audit

Plan = Callable[[int, float, int], str]
"""Gives the time estimate that is reported first, from the multiply-accumulates of an image, the minutes that
fine-tuning may take, and the number of passes over each shot."""


def adapt_network(run: Run, source: WeightSource, out: Path, plan: Plan | None = None) -> None:
    """Adapt the backbone to the shots; write into the folder `out`:

    network.safetensors, network.json  the adapted network; of texts with its tokenizer.json
    adapt.json                         the record of the search
    run.json                           run times: everything that differs between equal runs

    source  the backbone's weights, opened
    The same run on the same machine with the same number of threads gives the same bytes in network.safetensors; a
    killed run resumes from the cache. Raises UsageError, WeightsError, DataError.
    """
    start = time.monotonic()
    split, config, backbone = run.split, suited(run), run.job.recipe.backbone
    _require_shots(split)
    with deterministic(config.seed, choose_device()):
        network, spec, audit = build(backbone, source, len(split.classes), input_choice(run))
        prove_tokens(run, spec, source)
        pretrained = freeze_network(network, spec)
        if plan is not None:
            run.progress.note(plan(whole_macs(pretrained), *_minutes_and_looks(run)))

        def under(policy: ResizePolicy | None) -> Frozen:
            view = with_resize(pretrained, policy) if policy else pretrained
            # statistics are those of the resized images
            return reestimate(view, split.shots) if config.batch_norm == "reestimated" else view

        groups = shot_keys(run)
        resize, frozen = choose_resize(run, groups, under)
        outcome = adapt(Task(run, frozen, backbone.pretrained and source.kind != "none", groups))
        _require_linear(frozen, outcome.network, split)
    write_checkpoint(_contiguous(outcome.network), out / NETWORK_STATE)
    write_spec(frozen.spec, out / NETWORK_SPEC)
    write_adapt(_record(run, frozen, audit, resize, outcome), _times(outcome, time.monotonic() - start), out)
    shutil.rmtree(run.store.cache / UNFINISHED, ignore_errors=True)
    for note in audit.notes:
        run.progress.note(f"weights: {note}")
    _report(outcome, run.progress)


def _minutes_and_looks(run: Run) -> tuple[float, int]:
    """The minutes that fine-tuning may take, and the runs of the network over each shot."""
    config = suited(run)
    probe = config.strategy == "probe"
    minutes = 0.0 if probe else allowed_minutes(config, len(run.split.shots))
    views = 0 if augment_of(run) == "none" else views_of_head(run, config.views) if probe else config.views
    return minutes, len(resizes_of(run)) + views + 1  # and random weights


def _report(outcome: Outcome, progress: Progress) -> None:
    progress.note(outcome.reason)
    for guard in outcome.guards:
        if guard.verdict in ("warn", "failed"):
            progress.note(f"{'warning' if guard.verdict == 'warn' else guard.verdict}: {guard.sentence}")
    if outcome.learning_curve:
        progress.note(f"more shots: {outcome.learning_curve.sentence}")


def _require_shots(split: Split) -> None:
    labels = [label for sample in split.shots for label in labels_of(sample.truth)]
    counts = np.bincount(labels, minlength=len(split.classes))
    absent = [name for name, count in zip(split.classes, counts, strict=True) if count == 0]
    if len(split.classes) < 2 or absent:
        raise DataError(
            f"adapt: expected at least two classes, each with a shot; found {len(split.classes)} classes"
            + (f", none of {', '.join(absent[:10])}" if absent else "")
        )


@torch.no_grad()
def _require_linear(frozen: Frozen, network: nn.Module, split: Split) -> None:
    """Prove that the classifier is a linear function of its features, because the head was written into it as one."""
    spec = frozen.spec
    few = load_raw(split.shots[:4], spec.preprocessing)
    inputs = normalize(few.to(frozen.device), spec.preprocessing)
    pooled, logits = features(network, spec.classifier, inputs)
    layer = get_head(network, spec.classifier)
    expected = pooled @ layer.weight.flatten(1).T
    if layer.bias is not None:
        expected = expected + layer.bias
    if not torch.allclose(expected, logits, rtol=1e-3, atol=1e-3 * float(logits.abs().max()) + 1e-6):
        raise UsageError(
            f"{spec.architecture}: a nonlinear operator follows its classifier `{spec.classifier}`; "
            "choose another backbone"
        )


def _contiguous(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.contiguous() for name, tensor in network.state_dict().items()}


def _record(run: Run, frozen: Frozen, audit: Audit, resize: ResizeChoice | None, outcome: Outcome) -> AdaptRecord:
    tuning = outcome.tuning
    parts = tuning.prepared.depth.parts if tuning else ()
    classifier = frozen.spec.classifier
    sizes = {name: parameter.numel() for name, parameter in outcome.network.named_parameters()}
    trained = sum(size for name, size in sizes.items() if is_under(name, (*parts, classifier)))
    minutes, estimated = outcome.budget_minutes, outcome.estimated_minutes
    sentence = f"The search was planned to take {estimated:.1f} of {minutes:.1f} minutes on two CPU cores."
    return AdaptRecord(
        strategy=outcome.strategy,
        reason=outcome.reason,
        head=outcome.head,
        resize=resize,
        candidates=outcome.candidates,
        guards=outcome.guards,
        learning_curve=outcome.learning_curve,
        folds=outcome.folds,
        held_out_images=len(run.split.shots) if outcome.folds else 0,
        budget=Budget(minutes, estimated, sentence),
        epochs=outcome.epochs,
        learning_rate=tuning.learning_rate if tuning else None,
        trained_parts=parts if tuning else None,
        augment=augment_of(run),
        audit=audit,
        source=frozen.spec.source,
        licence=frozen.spec.licence,
        frozen_parameters=sum(sizes.values()) - trained,
        trained_parameters=trained,
        device=_device_name(frozen.device),
        history=_history(outcome),
    )


def _history(outcome: Outcome) -> History:
    trials = {
        runner.tuning.title: tuple(tuple(map(_epoch, trial.history)) for trial in runner.trials)
        for runner in outcome.runners
        if runner.trials
    }
    return History(trials, tuple(map(_epoch, outcome.final)))


def _epoch(epoch: finetune.Epoch) -> Epoch:
    loss, top1 = epoch.held_out_loss, epoch.held_out_top1
    held_out = None if loss is None or top1 is None else HeldOut(loss, top1)
    return Epoch(epoch.epoch, epoch.learning_rate, epoch.train_loss, held_out)


def _times(outcome: Outcome, seconds: float) -> Times:
    return Times(
        seconds=seconds,
        threads=torch.get_num_threads(),
        candidates={candidate.name: candidate.seconds for candidate in outcome.candidates},
        trials={
            runner.tuning.title: tuple(tuple(epoch.seconds for epoch in trial.history) for trial in runner.trials)
            for runner in outcome.runners
            if runner.trials
        },
        final=tuple(epoch.seconds for epoch in outcome.final),
    )


def _device_name(device: torch.device) -> str:
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else "cpu"
