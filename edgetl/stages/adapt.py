"""The adapt stage: fits a head, fine-tunes the backbone, or both, on the shots; or trains a detector on them.
Before that it estimates the time of the build, from the network and the images, for two idle cores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgetl.adapt.suited import suited
from edgetl.files.digest import value_digest
from edgetl.files.text import duration
from edgetl.fronts.image.augment_policy import resizes_of
from edgetl.fronts.views import augment_of
from edgetl.recipes.job import Job, schemes_of
from edgetl.recipes.run import Run
from edgetl.stages.keys import TRAINING_TOOLS, samples_digest, versions
from edgetl.stages.weights import Weights
from edgetl.store.results import StageResult
from edgetl.types import Split

# Multiply-accumulates in a second on two cores of a server CPU, with MobileNetV2 at 224 x 224;
# compiled models are several times as fast, models executed node by node are slower.
_TORCH, _LITERAL, _COMPILED = 24e9, 6e9, 60e9
_JUDGED = 512  # validation images used by quantization
_PROVEN = 64  # images on which each exported model is compared


def sentence(seconds: Mapping[str, float], until: str) -> str:
    """`estimated for two idle cores: 6 min (adapt 3 min, quantize 50 s, ...)`, up to the stage `until`."""
    if until in seconds:
        seconds = dict(list(seconds.items())[: list(seconds).index(until) + 1])
    parts = ", ".join(f"{stage} {duration(one)}" for stage, one in seconds.items())
    return f"estimated for two idle cores: {duration(sum(seconds.values()))} ({parts})"


def stage_seconds(job: Job, split: Split, macs: int, search_minutes: float, views: int) -> dict[str, float]:
    """Seconds of the stages from adapt on.

    macs            multiply-accumulates of one image
    search_minutes  budget of fine-tuning
    views           views per shot whose features are computed
    """
    shots, val, schemes = len(split.shots), len(split.val), len(schemes_of(job))
    builds = sum(len(target.precisions) for target in job.targets)
    run = job.recipe.bench.runs + job.recipe.bench.warmup
    return {
        "adapt": 15 + macs * shots * views / _TORCH + 60 * search_minutes,
        "quantize": schemes * (12 + macs * (8 * shots + 3 * min(val, _JUDGED)) / _TORCH),
        "export": 10 + macs * (val / _TORCH + _PROVEN * (1 + 2 * schemes) / _LITERAL),
        "compile": 2.0 * builds,
        "bench": len(job.targets) * 10 + builds * macs * (run + val) / _COMPILED,
    }


def adapt_stage(run: Run, weights: Weights | None = None, until: str = "adapt") -> StageResult:
    """Fit a head, fine-tune the backbone, or both, on the shots, or train a detector. First prints the estimated time
    up to `until`."""
    from edgetl.data.groups import shot_keys

    recipe = run.job.recipe
    groups = shot_keys(run)
    weights = weights or Weights.of(run.job, run.progress)
    source = weights.source

    def plan(macs: int, minutes: float, looks: int) -> str:
        return sentence(stage_seconds(run.job, run.split, macs, minutes, looks), until)

    def make(out: Path) -> None:
        opened = weights.to_open()  # first: if they are gone, fail before importing anything heavy
        if recipe.task == "detection":
            from edgetl.adapt.detection.adapt import adapt_detector

            adapt_detector(run, opened, out, plan)
        else:
            from edgetl.adapt.adapt import adapt_network

            adapt_network(run, opened, out, plan)

    config: dict[str, Any] = {
        "adapt": recipe.adapt.model_dump(mode="json"),
        "backbone": recipe.backbone.identity(),
        "weights": source.kind,
        "augment": augment_of(run),
        "resizes": list(resizes_of(run)),
        "tools": versions(TRAINING_TOOLS),
    }
    if run.split.clips:
        config |= {"audio": recipe.audio.model_dump(mode="json"), "rate_hz": run.split.clips.rate_hz}
    if run.split.windows:
        config |= {"windows": asdict(run.split.windows), "series": recipe.series.model_dump(mode="json")}
    if recipe.front == "text":
        config |= {"text": recipe.text.model_dump(mode="json"), "training": 2}
    if recipe.front in ("series", "text"):
        config |= {"suited": suited(run).model_dump(mode="json")}
    if recipe.task == "detection":
        config |= {"task": recipe.task, "detector": recipe.detector.model_dump(mode="json"), "training": 3}
    inputs = {"shots": samples_digest(run.split, run.split.shots), "weights": source.digest}
    inputs |= {"groups": value_digest(groups)} if groups else {}
    return run.store.once("adapt", 14, config, make, inputs=inputs)
