"""Estimates the time of a build before it begins, from the network and the images, for two idle cores."""

from __future__ import annotations

from collections.abc import Mapping

from edgetl.files.text import duration
from edgetl.recipes.job import Job, schemes_of
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
