"""Small adaptations of detectors: bright and dark squares on gray, a tiny network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from small_runs import small_run

from edgetl.adapt.detection.adapt import adapt_detector
from edgetl.adapt.detection.record import DetectorAdaptRecord, read_detector_adapt
from edgetl.backbones.weights import locate
from edgetl.recipes.recipe import Backbone
from edgetl.types import Box, Progress, Sample, Split

SIZE = 64
CLASSES = ("bright", "dark")


def samples_in(folder: Path, count: int, seed: int) -> tuple[Sample, ...]:
    """Images of 72x64 pixels, each with a square of every class."""
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(seed)
    samples = []
    for number in range(count):
        pixels = np.full((64, 72, 3), 120, np.uint8)
        boxes = []
        for label, value in enumerate((230, 20)):
            side, x, y = generator.integers(14, 22), generator.integers(0, 14) + 36 * label, generator.integers(0, 42)
            pixels[y : y + side, x : x + side] = value
            boxes.append(Box(float(x), float(y), float(x + side), float(y + side), label))
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        samples.append(Sample(str(path), tuple(boxes), hashlib.sha256(path.read_bytes()).hexdigest()))
    return tuple(samples)


def split_in(folder: Path, shots: int = 8) -> Split:
    val = samples_in(folder / "val", 4, seed=1)
    return Split(CLASSES, samples_in(folder / "shots", shots, seed=0), val, (), "squash", "square", "digest")


def adapt_in(
    split: Split,
    weights: Path,
    out: Path,
    *,
    backbone: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    **config: Any,
) -> DetectorAdaptRecord:
    """At most a few seconds: few steps of a network whose backbone is random."""
    out.mkdir()
    small = {"epochs": 1, "folds": 2, "learning_rate": 1e-2, "batch_size": 4}
    run = small_run(
        split,
        out.parent,
        progress=progress,
        task="detection",
        data={"train": ".", "augment": "natural", "resize": "squash"},
        backbone=Backbone(**{"name": "test_resnet", "weights": str(weights), "input_size": SIZE, **(backbone or {})}),
        detector={"width": 16},
        adapt={**small, **config},
    )
    adapt_detector(run, locate(run.job.recipe.backbone, out, []), out)
    return read_detector_adapt(out)
