"""edgetl's side of `transfer.py`: the adapt stage as a build runs it, and the speed of its feature extraction."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from transfer_baselines import Pretrained, center_crops, kept_crops, predict
from transfer_draws import Draw

# imported here so that the first cell's time holds no imports
import edgetl.adapt.adapt  # noqa: F401
from edgetl.adapt.record import read_adapt
from edgetl.backbones.classifier import features
from edgetl.backbones.extract import open_frozen, pooled_features
from edgetl.backbones.load import rebuild
from edgetl.backbones.pixels import normalize
from edgetl.backbones.spec import read_spec
from edgetl.recipes.job import make_job
from edgetl.recipes.recipe import Recipe
from edgetl.recipes.recipe_file import load_recipe
from edgetl.recipes.run import Run
from edgetl.stages.adapt import adapt_stage
from edgetl.stages.split import split_stage
from edgetl.store.results import open_store
from edgetl.types import Sample, Silent, Split

STRATEGIES = {"auto": "auto", "probe": "probe"}
"""Methods of ours, and the `adapt.strategy` each of them is."""

_REPEATS = 3
_BATCH = 32


@dataclass(frozen=True)
class Adapted:
    """Class indices (N,) of the written network for `split.val`, the seconds of the adapt stage, what it chose."""

    split: Split
    predicted: NDArray[np.int64]
    seconds: float
    strategy: str


@dataclass(frozen=True)
class Extraction:
    """Images per second, medians of the repeats.

    plain    edgetl's cached features: decode, resize, network, disk
    network  the bare network on tensors that already exist
    """

    images: int
    threads: int
    plain: float
    network: float


def run_adapt(
    pretrained: Pretrained, weights: Path, draw: Draw, method: str, overrides: Sequence[str], folder: Path
) -> Adapted:
    """One cell in the scratch folder `folder`, which is emptied first, so no feature of an earlier run is reused.
    Raises EdgetlError."""
    shutil.rmtree(folder, ignore_errors=True)
    recipe = _recipe(pretrained, draw, method, overrides, folder)
    job = make_job(recipe, folder, out=folder / "out", weights_dirs=(weights,))
    with open_store(job.out) as store:
        split, _ = split_stage(store, job, Silent())
        result = adapt_stage(Run(store, job, split, Silent()))
        record = read_adapt(result.folder)
        spec = read_spec(result.folder / "network.json")
        network = rebuild(spec, result.folder / "network.safetensors").to(memory_format=torch.channels_last)
        predicted = predict(network, spec.image, kept_crops(pretrained.cache, split.val, spec))
    shutil.rmtree(folder)
    return Adapted(split, predicted, result.seconds, record.strategy)


def measure_extraction(pretrained: Pretrained, samples: Sequence[Sample], classes: int) -> Extraction:
    """Both ways over the same images, taking turns. Raises EdgetlError."""
    frozen = open_frozen(pretrained.backbone, pretrained.source, classes, "crop")
    spec = frozen.spec
    crops = torch.from_numpy(center_crops(samples, spec.image)).permute(0, 3, 1, 2)
    inputs = [normalize(part, spec.image).to(frozen.device) for part in torch.split(crops, _BATCH)]

    def cached() -> None:
        with tempfile.TemporaryDirectory() as cache:
            pooled_features(frozen, samples, Path(cache), progress=Silent())

    @torch.inference_mode()
    def bare() -> None:
        for part in inputs:
            features(frozen.network, spec.classifier, part)[0].cpu()

    bare()  # warm up
    pairs = [(_seconds(cached), _seconds(bare)) for _ in range(_REPEATS)]
    plain, network = (len(samples) / statistics.median(column) for column in zip(*pairs, strict=True))
    return Extraction(len(samples), torch.get_num_threads(), plain, network)


def _recipe(pretrained: Pretrained, draw: Draw, method: str, overrides: Sequence[str], folder: Path) -> Recipe:
    """Read back from a file, so that overrides mean what they mean to `edgetl build --set`."""
    raw = {
        "name": draw.folder.name,
        "data": draw.section(),
        "backbone": pretrained.backbone.model_dump(mode="json", exclude_none=True),
        "adapt": {"strategy": STRATEGIES[method]},
        "targets": ["x86-cpu"],
    }
    folder.mkdir(parents=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return load_recipe(path, overrides)


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
