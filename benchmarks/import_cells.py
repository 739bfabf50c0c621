"""One network of `imports.py`: exported, imported, quantized in several ways, judged and timed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from plain_models import Recipe as Way
from plain_models import Shots, compiled, nncf_recipes, static_recipes
from repeated_ratio import ratio
from result_file import made_here
from torch import nn

from edgetl.backbones.checkpoint import read_checkpoint
from edgetl.backbones.weights import model_file
from edgetl.backends.base import load
from edgetl.bench.latency import interleaved
from edgetl.bench.machine import describe, other_cpu
from edgetl.data.batches import TIMED_IMAGES, batches, load_batch, spread
from edgetl.pivot.pivot import model_for, read_pivot
from edgetl.recipes.job import make_job
from edgetl.recipes.recipe_file import parse_recipe
from edgetl.recipes.targets import load_target
from edgetl.stages.pipeline import run
from edgetl.stats import paired_difference
from edgetl.tasks.base import load_task
from edgetl.tasks.running import answer_all
from edgetl.types import Compiled, Engine, Interval, Sample, Silent, Target

Exporter = Literal["dynamo", "script"]
FLOAT, OURS = "float", "edgetl"
CLASSES = 1000
_CALIBRATES = 5  # every fifth picture
_BATCH = 8
_WARMUP = 5
_OPSET = 17  # of the older exporter


@dataclass(frozen=True)
class Settings:
    """pictures, weights: folders. runs  per repeat. repeats  times the engines are opened afresh. methods  rivals"""

    pictures: Path
    weights: Path
    runs: int
    repeats: int
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Key:
    network: str
    exporter: Exporter
    version: str


@dataclass(frozen=True)
class Int8:
    """top1, drop_points against the float file; faster  time of the float build over its time"""

    method: str
    top1: float
    drop_points: Interval
    faster: Interval


@dataclass(frozen=True)
class Cell:
    """float_top1  of the user's file on the judged pictures; loads  before each repeat"""

    key: Key
    target: str
    judged: int
    float_top1: float
    builds: tuple[Int8, ...]
    loads: tuple[float | None, ...]
    made_with: str


def measure(key: Key, settings: Settings, folder: Path) -> Cell:
    """Everything about one network; `folder` receives its files. Raises EdgetlError."""
    folder.mkdir(parents=True, exist_ok=True)
    target = next(each for each in map(load_target, ("x86-cpu", "x86-avx2")) if not other_cpu(each))
    pivot = _pivot(key, settings, folder, target)
    known = read_pivot(pivot)
    samples = _samples(settings.pictures)
    shots = Shots(samples[::_CALIBRATES], known.preprocessing)
    judged = [sample for index, sample in enumerate(samples) if index % _CALIBRATES]
    floating = pivot / model_for(known, target, "float32").file
    backend = load(target.backend)
    made: dict[str, tuple[Path, Compiled, Target]] = {}
    for name, precision in ((FLOAT, "float32"), (OURS, "int8")):
        out = _fresh(folder / name)
        model = pivot / model_for(known, target, precision).file  # type: ignore[arg-type]
        made[name] = (out, backend.compile(model, target, precision, out), target)  # type: ignore[arg-type]
    for way in _ways(target, settings.methods):
        out = _fresh(folder / way.name.replace(" ", "-"))
        way.make(floating, shots, out)
        other = target if way.backend == target.backend else load_target("intel-avx2")
        made[way.name] = (out, compiled(way, out, load(way.backend).version()), other)
    return _measured(key, made, judged, shots, settings, target)


def _measured(
    key: Key,
    made: Mapping[str, tuple[Path, Compiled, Target]],
    judged: Sequence[Sample],
    shots: Shots,
    settings: Settings,
    target: Target,
) -> Cell:
    def opened(stack: ExitStack) -> dict[str, Engine]:
        return {
            name: stack.enter_context(load(at.backend).open(out, files, at, threads=1))
            for name, (out, files, at) in made.items()
        }

    repeats: list[dict[str, NDArray[np.int64]]] = []
    loads: list[float | None] = []
    timed = load_batch(spread(judged, TIMED_IMAGES), shots.preprocessing)
    for seed in range(settings.repeats):
        loads.append(describe().load_average)
        with ExitStack() as stack:
            repeats.append(interleaved(opened(stack), timed, runs=settings.runs, warmup=_WARMUP, seed=seed))
    labels = np.array([sample.label for sample in judged])
    with ExitStack() as stack:
        logits = answer_all(load_task("classification"), opened(stack), batches(judged, shots.preprocessing, _BATCH))
    right = {name: found.argmax(1) == labels for name, found in logits.items()}
    builds = tuple(
        Int8(
            method=name,
            top1=float(right[name].mean()),
            drop_points=paired_difference(right[FLOAT], right[name]),
            faster=ratio(repeats, FLOAT, name, seed=0).combined,
        )
        for name in made
        if name != FLOAT
    )
    return Cell(key, target.name, len(judged), float(right[FLOAT].mean()), builds, tuple(loads), made_here())


def _ways(target: Target, methods: Sequence[str]) -> list[Way]:
    known = (*static_recipes(reduce_range=target.scheme.weight_pairs_in_int16), *nncf_recipes())
    return [way for way in known if way.name in methods]


def _fresh(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    return folder


def _pivot(key: Key, settings: Settings, folder: Path, target: Target) -> Path:
    """The folder that `edgetl import` exports for the network's file."""
    config = json.loads((settings.weights / key.network / "card.json").read_text(encoding="utf-8"))
    network, seen = _trained(key.network, settings.weights)
    file = folder / "network.onnx"
    if not file.is_file():
        _export(network, key.exporter, file)
    (folder / "classes.txt").write_text("\n".join(map(str, range(CLASSES))), encoding="utf-8")
    samples = _samples(settings.pictures)
    for name, kept in (("train", samples[::_CALIBRATES]), ("val", samples)):
        rows = [f"{sample.path},{sample.label}" for i, sample in enumerate(kept) if name == "train" or i % _CALIBRATES]
        (folder / f"{name}.csv").write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    recipe = {
        "name": key.network,
        "data": {"train": "train.csv", "val": "val.csv", "shots": "all", "resize": "crop"},
        "network": {"file": file.name, "classes": "classes.txt", **seen},
        "check": {"allow_leak": True},
        "targets": [target.name],
    }
    job = make_job(parse_recipe(recipe, where=config.get("name", key.network)), folder, out=folder / "build")
    run(job, Silent(), "export")
    return folder / "build" / "pivot"


def _trained(name: str, weights: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The network with its own classifier, and how it sees pictures."""
    folder = weights / name
    if (folder / "config.json").is_file():
        network = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        how = network.pretrained_cfg
    else:
        from torchvision import models

        network = models.get_model(name, weights=None).eval()
        network.load_state_dict({each: value.float() for each, value in read_checkpoint(model_file(folder)).items()})
        how = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    seen = {"mean": list(how["mean"]), "std": list(how["std"]), "crop_pct": how.get("crop_pct", 0.875)}
    bicubic = how.get("interpolation") == "bicubic"
    return network, {**seen, "interpolation": "bicubic" if bicubic else "bilinear"}


@torch.no_grad()
def _export(network: nn.Module, exporter: Exporter, file: Path) -> None:
    images = torch.zeros(2, 3, 224, 224)
    if exporter == "dynamo":
        sizes = ({0: torch.export.Dim("batch", min=1, max=64)},)
        torch.onnx.export(network, (images,), file, dynamo=True, dynamic_shapes=sizes, verbose=False)
    else:
        torch.onnx.export(network, (images[:1],), file, dynamo=False, opset_version=_OPSET)


def _samples(folder: Path) -> list[Sample]:
    """In the order of their names; the class index is the part before the first underscore."""
    paths = sorted(folder.resolve().glob("*.jpg"))
    return [Sample(path=str(path), truth=int(path.name.partition("_")[0]), sha256="") for path in paths]
