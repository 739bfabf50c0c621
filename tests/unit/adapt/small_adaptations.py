"""Small adaptations, for the tests of what they come to: three kinds of pattern, a tiny network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from small_runs import small_run

from edgetl.adapt.adapt import adapt_network
from edgetl.adapt.record import AdaptRecord, read_adapt
from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.weights import locate
from edgetl.recipes.recipe import Backbone
from edgetl.types import Progress, Sample, Split

SIZE = 32
CLASSES = ("stripes", "bars", "dots")


def picture(label: int, generator: np.random.Generator) -> np.ndarray:
    """Stripes, bars or dots of random phase and brightness, with noise."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + generator.integers(0, 8)
    pattern = [rows // 4 % 2, columns // 4 % 2, (rows // 4 + columns // 4) % 2][label]
    gray = 60 + pattern * generator.uniform(80, 140) + generator.normal(0, 12, (SIZE, SIZE))
    return np.repeat(gray.clip(0, 255).astype(np.uint8)[:, :, None], 3, 2)


def samples_in(folder: Path, shots: int, seed: int, classes: int = 3) -> tuple[Sample, ...]:
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(seed)
    samples = []
    for label in range(classes):
        for number in range(shots):
            path = folder / f"{label}-{number}.png"
            Image.fromarray(picture(label, generator)).save(path)
            samples.append(Sample(str(path), label, hashlib.sha256(path.read_bytes()).hexdigest()))
    return tuple(samples)


def split_in(tmp_path: Path, shots: int = 6) -> Split:
    val = samples_in(tmp_path / "val", 8, seed=1)
    return Split(CLASSES, samples_in(tmp_path / "shots", shots, seed=0), val, (), "squash", "square", "digest")


def write_weights(path: Path) -> Path:
    """A checkpoint of a tiny network with batch-norm statistics that are not the identity."""
    torch.manual_seed(0)
    network = timm.create_model("test_resnet").train()
    with torch.no_grad():
        for _ in range(20):
            network(torch.randn(8, 3, SIZE, SIZE))
    write_checkpoint(network.state_dict(), path)
    return path


def backbone_of(weights: Path) -> Backbone:
    if weights.is_dir():
        return Backbone(name=f"local-dir:{weights}", input_size=SIZE)
    return Backbone(name="test_resnet", weights=str(weights), input_size=SIZE)


def adapt_in(
    split: Split,
    weights: Path,
    out: Path,
    *,
    data: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    **config: Any,
) -> AdaptRecord:
    out.mkdir()
    # the checkpoint's weights are random: the sanity probe is right about them
    small = {"epochs": 2, "learning_rate": 1e-4, "sanity": "warn", "head": "ncm", "views": 2, "folds": 2}
    images = {"train": ".", "augment": "light", "resize": "squash", **(data or {})}
    run = small_run(
        split, out.parent, progress=progress, data=images, backbone=backbone_of(weights), adapt={**small, **config}
    )
    adapt_network(run, locate(run.job.recipe.backbone, out, []), out)
    return read_adapt(out)
