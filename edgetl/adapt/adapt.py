"""The adapt stage: turns shots and a backbone into an adapted network and a record of the search."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgetl.adapt.batch_norm import reestimate
from edgetl.adapt.budget import allowed_minutes
from edgetl.adapt.candidates import Candidate
from edgetl.adapt.choose_resize import ResizeChoice, choose_resize, with_resize
from edgetl.adapt.episode import MOST_VIEWS, Task
from edgetl.adapt.finetune import Epoch
from edgetl.adapt.strategy import UNFINISHED, Outcome, adapt
from edgetl.backbones.audit import Audit
from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.cut import whole_macs
from edgetl.backbones.device import choose_device
from edgetl.backbones.extract import Frozen, freeze_network
from edgetl.backbones.freeze import is_under
from edgetl.backbones.head import features, get_head, widened
from edgetl.backbones.load import build
from edgetl.backbones.pixels import load_planes, normalize
from edgetl.backbones.reproducible import deterministic
from edgetl.backbones.spec import write_spec
from edgetl.errors import DataError, UsageError
from edgetl.recipes.recipe import Adapt, Backbone
from edgetl.store.records import ADAPT_RECORD, NETWORK_SPEC, NETWORK_STATE, RUN_RECORD
from edgetl.types import NetworkSpec, Progress, ResizePolicy, Split, WeightSource

SCHEMA = 2


@dataclass(frozen=True)
class AdaptJob:
    """The inputs of the stage.

    plan         gives the note about the expected time, from the multiply-accumulates per image, the minutes of
                 fine-tuning, and the runs of the network over each shot

    augment      a policy of `Augment`
    resizes      allowed resize policies, the one that suits the image shapes first; with several, the shots decide
    cache        folder for features and trials, named by content; a killed run resumes from it
    groups       of the shots (`data.group_by`), None without any: no group is on both sides of a fold
    """

    split: Split
    backbone: Backbone
    source: WeightSource
    config: Adapt
    augment: str
    resizes: tuple[ResizePolicy, ...]
    cache: Path
    groups: tuple[str, ...] | None = None
    plan: Callable[[int, float, int], str] | None = None


def run(job: AdaptJob, out: Path, progress: Progress) -> None:
    """Adapt the backbone to the shots; write into the folder `out`:

    network.safetensors, network.json  the adapted network
    adapt.json                         the record of the search
    run.json                           run times: everything that differs between equal runs

    The same job on the same machine with the same number of threads gives the same bytes in network.safetensors.
    Raises UsageError, WeightsError, DataError.
    """
    start = time.monotonic()
    _require_shots(job.split)
    with deterministic(job.config.seed, choose_device()):
        network, spec, audit = build(job.backbone, job.source, len(job.split.classes), job.resizes[0])
        pretrained = freeze_network(network, spec)
        _say_plan(job, pretrained, progress)

        def under(policy: ResizePolicy) -> Frozen:
            view = with_resize(pretrained, policy)
            # statistics are those of the resized images
            return reestimate(view, job.split.shots) if job.config.batch_norm == "reestimated" else view

        resize, frozen = choose_resize(
            under,
            job.split.shots,
            len(job.split.classes),
            job.resizes,
            job.cache,
            job.config.seed,
            progress,
            job.groups,
        )
        task = _task(job, frozen, progress)
        outcome = adapt(task)
        spec = _described(frozen.spec, outcome.network)
        _require_linear(replace(frozen, spec=spec), outcome.network, job.split)
    write_checkpoint(_contiguous(outcome.network), out / NETWORK_STATE)
    write_spec(spec, out / NETWORK_SPEC)
    _write(out / ADAPT_RECORD, _record(job, frozen, audit, resize, outcome))
    _write(out / RUN_RECORD, _run_record(outcome, time.monotonic() - start))
    shutil.rmtree(job.cache / UNFINISHED, ignore_errors=True)
    for note in audit.notes:
        progress.note(f"weights: {note}")
    _tell(outcome, progress)


def _say_plan(job: AdaptJob, pretrained: Frozen, progress: Progress) -> None:
    if job.plan is not None:
        probe = job.config.strategy == "probe"
        minutes = 0.0 if probe else allowed_minutes(job.config, len(job.split.shots))
        views = 0 if job.augment == "none" else min(job.config.views, MOST_VIEWS - 1) if probe else job.config.views
        looks = len(job.resizes) + views + 1  # and random weights
        progress.note(job.plan(whole_macs(pretrained), minutes, looks))


def _described(spec: NetworkSpec, network: nn.Module) -> NetworkSpec:
    """The description of the adapted network, whose head may have a hidden layer now."""
    layer = network.get_submodule(spec.classifier)
    if not isinstance(layer, nn.Sequential):
        return spec
    return replace(spec, classifier=widened(spec.classifier), hidden=len(layer.get_parameter("0.weight")))


def _task(job: AdaptJob, frozen: Frozen, progress: Progress) -> Task:
    return Task(
        frozen=frozen,
        samples=job.split.shots,
        num_classes=len(job.split.classes),
        policy=job.augment,
        pretrained=job.backbone.pretrained and job.source.kind != "none",
        config=job.config,
        cache=job.cache,
        progress=progress,
        groups=job.groups,
    )


def _tell(outcome: Outcome, progress: Progress) -> None:
    progress.note(outcome.reason)
    for guard in outcome.guards:
        if guard.verdict in ("warn", "failed"):
            progress.note(f"{'warning' if guard.verdict == 'warn' else guard.verdict}: {guard.sentence}")
    if outcome.learning_curve:
        progress.note(f"more shots: {outcome.learning_curve.sentence}")


def _require_shots(split: Split) -> None:
    counts = np.bincount([sample.label for sample in split.shots], minlength=len(split.classes))
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
    few = load_planes(split.shots[:4], spec.preprocessing)
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


def _write(path: Path, record: Mapping[str, Any]) -> None:
    text = json.dumps(_jsonable(record), indent=2, sort_keys=True, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _run_record(outcome: Outcome, seconds: float) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "threads": torch.get_num_threads(),
        "candidates": {candidate.name: candidate.seconds for candidate in outcome.candidates},
        "epochs": {
            "trials": {
                runner.tuning.title: [[epoch.seconds for epoch in trial.history] for trial in runner.trials]
                for runner in outcome.runners
                if runner.trials
            },
            "final": [epoch.seconds for epoch in outcome.final],
        },
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {name: value for name, value in asdict(candidate).items() if name != "seconds"}


def _record(job: AdaptJob, frozen: Frozen, audit: Audit, resize: ResizeChoice, outcome: Outcome) -> dict[str, Any]:
    tuning = outcome.tuning
    parts = tuning.prepared.depth.parts if tuning else ()
    classifier = frozen.spec.classifier
    sizes = {name: parameter.numel() for name, parameter in outcome.network.named_parameters()}
    trained = sum(size for name, size in sizes.items() if is_under(name, (*parts, classifier)))
    return {
        "schema": SCHEMA,
        "strategy": outcome.strategy,
        "reason": outcome.reason,
        "head": outcome.head,
        "resize": asdict(resize),
        "candidates": [_candidate(candidate) for candidate in outcome.candidates],
        "guards": [asdict(guard) for guard in outcome.guards],
        "learning_curve": asdict(outcome.learning_curve) if outcome.learning_curve else None,
        "folds": outcome.folds,
        "held_out_images": len(job.split.shots) if outcome.folds else 0,
        "budget": {
            "minutes": outcome.budget_minutes,
            "estimated_minutes": outcome.estimated_minutes,
            "sentence": f"The search was planned to take {outcome.estimated_minutes:.1f} of "
            f"{outcome.budget_minutes:.1f} minutes on two CPU cores.",
        },
        "history": {
            "trials": {
                runner.tuning.title: [[_epoch(epoch) for epoch in trial.history] for trial in runner.trials]
                for runner in outcome.runners
                if runner.trials
            },
            "final": [_epoch(epoch) for epoch in outcome.final],
        },
        "epochs": outcome.epochs,
        "learning_rate": tuning.learning_rate if tuning else None,
        "trained_parts": list(parts) if tuning else None,
        "augment": job.augment,
        "audit": asdict(audit),
        "source": f"{frozen.spec.library} {frozen.spec.architecture}",
        "licence": _licence(job.source),
        "frozen_parameters": sum(sizes.values()) - trained,
        "trained_parameters": trained,
        "device": _device_name(frozen.device),
    }


def _epoch(epoch: Epoch) -> dict[str, Any]:
    held_out = None if epoch.held_out_loss is None else {"loss": epoch.held_out_loss, "top1": epoch.held_out_top1}
    return {
        "epoch": epoch.epoch,
        "learning_rate": epoch.learning_rate,
        "train_loss": epoch.train_loss,
        "held_out": held_out,
    }


def _licence(source: WeightSource) -> str:
    """What a timm folder says about its weights; empty if it says nothing."""
    if source.kind != "local-dir":
        return ""
    config = json.loads((Path(source.path) / "config.json").read_text(encoding="utf-8"))
    return str(config.get("pretrained_cfg", {}).get("license") or "")


def _device_name(device: torch.device) -> str:
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else "cpu"


def _jsonable(value: Any) -> Any:
    """Numbers that JSON cannot hold (a diverged loss) become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _jsonable(inner) for key, inner in value.items()}
    return [_jsonable(inner) for inner in value] if isinstance(value, (list, tuple)) else value
