"""One network of `imports.py`: exported, imported, quantized in several ways and judged; and timed, later."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from import_networks import Exporter, Pictures, Trained, export, trained
from numpy.typing import NDArray
from plain_models import Recipe as Way
from plain_models import Shots, compiled, make, nncf_recipes, static_recipes
from repeated_ratio import ratio
from result_file import made_here

from edgetl.backends.base import load
from edgetl.bench.latency import interleaved
from edgetl.bench.machine import describe, other_cpu
from edgetl.files.digest import file_digest
from edgetl.fronts.batches import TIMED_IMAGES, batches, load_batch, spread
from edgetl.pivot.pivot import Pivot, model_for, read_pivot
from edgetl.recipes.job import make_job
from edgetl.recipes.recipe_file import parse_recipe
from edgetl.recipes.targets import load_target
from edgetl.stages.pipeline import run
from edgetl.store.results import open_store
from edgetl.tasks.base import load_task
from edgetl.tasks.running import answer_all
from edgetl.types import Compiled, Engine, Interval, Precision, Sample, Silent, Target
from edgetl.types.stats import paired_difference

FLOAT, OURS = "float", "edgetl"
ON_OPENVINO = ", OpenVINO"
_CALIBRATES = 5  # every fifth picture
_BATCH = 8
_WARMUP = 5


@dataclass(frozen=True)
class Settings:
    """pictures  folders by kind. weights  folder. keras  interpreter for tf2onnx. methods  rivals"""

    pictures: Mapping[Pictures, Path]
    weights: Path
    keras: Path | None
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Key:
    network: str
    exporter: Exporter
    version: str


@dataclass(frozen=True)
class Build:
    """files  in the folder of its name, slashed, beside the network; target  that opens them

    top1, drop_points  on the judged pictures, the latter against the float file; None: float on a second runtime
    """

    method: str
    files: Compiled
    target: str
    top1: float | None
    drop_points: Interval | None


@dataclass(frozen=True)
class Cell:
    """float_top1  of the user's file on the judged pictures"""

    key: Key
    judged: int
    calibrated: int
    float_top1: float
    builds: tuple[Build, ...]
    made_with: str


@dataclass(frozen=True)
class Faster:
    """Time of one build over that of another, in the same rounds."""

    slow: str
    fast: str
    ratio: Interval


@dataclass(frozen=True)
class Times:
    """milliseconds  median of all runs; loads  load average before each repeat"""

    key: Key
    milliseconds: dict[str, float]
    faster: tuple[Faster, ...]
    loads: tuple[float | None, ...]
    made_with: str


def measure(key: Key, settings: Settings, folder: Path) -> Cell:
    """All builds of one network and their accuracy; `folder` receives its files. Raises EdgetlError."""
    folder.mkdir(parents=True, exist_ok=True)
    targets = _targets()
    found = trained(key.network, settings.weights)
    found = export(key.network, found, key.exporter, folder, settings.keras)
    samples = _samples(settings.pictures[found.pictures], found.pictures)
    pivot = _pivot(key, found, samples, folder, targets)
    known = read_pivot(pivot)
    shots = Shots(samples[::_CALIBRATES], known.preprocessing)
    judged = [sample for index, sample in enumerate(samples) if index % _CALIBRATES]
    made = _made(known, pivot, shots, settings, folder, targets)
    labels = np.array([sample.label for sample in judged])
    with ExitStack() as stack:
        engines = _opened(stack, {name: at for name, at in made.items() if name != FLOAT + ON_OPENVINO}, folder)
        logits = answer_all(load_task("classification"), engines, batches(judged, shots.preprocessing, _BATCH))
    right = {name: scores.argmax(1) == labels for name, scores in logits.items()}
    builds = tuple(
        Build(
            method=name,
            files=files,
            target=target.name,
            top1=float(right[name].mean()) if name in right else None,
            drop_points=paired_difference(right[FLOAT], right[name]) if name in right else None,
        )
        for name, (files, target) in made.items()
    )
    return Cell(key, len(judged), len(shots), float(right[FLOAT].mean()), builds, made_here())


def measure_times(cell: Cell, settings: Settings, folder: Path, *, runs: int, repeats: int) -> Times:
    """All builds of a finished cell in the same rounds, on one thread; engines are opened afresh for each repeat."""
    pivot = read_pivot(folder / "build" / "pivot")
    kind: Pictures = "cifar" if cell.key.network.endswith("cifar10") else "imagenet"
    few = spread(_samples(settings.pictures[kind], kind), TIMED_IMAGES)
    images = load_batch(few, pivot.preprocessing)
    made = {build.method: (build.files, load_target(build.target)) for build in cell.builds}
    found: list[dict[str, NDArray[np.int64]]] = []
    loads: list[float | None] = []
    for seed in range(repeats):
        loads.append(describe().load_average)
        with ExitStack() as stack:
            engines = _opened(stack, made, folder)
            found.append(interleaved(engines, images, runs=runs, warmup=_WARMUP, seed=seed))
    medians = {name: float(np.median(np.concatenate([times[name] for times in found]))) / 1e6 for name in made}
    faster = tuple(Faster(slow, fast, ratio(found, slow, fast, seed=0).combined) for slow, fast in _pairs(made))
    return Times(cell.key, medians, faster, tuple(loads), made_here())


def _pairs(made: Mapping[str, tuple[Compiled, Target]]) -> list[tuple[str, str]]:
    """Each INT8 build against float, and each rival against ours, on the same runtime."""
    found = []
    for name, (files, _) in made.items():
        suffix = ON_OPENVINO if files.backend == "openvino" else ""
        if not name.startswith(FLOAT):
            found.append((FLOAT + suffix, name))
        if not name.startswith((FLOAT, OURS)):
            found.append((name, OURS + suffix))
    return found


def folder_of(method: str) -> str:
    return method.replace(",", "").replace(" ", "-")


def _opened(stack: ExitStack, made: Mapping[str, tuple[Compiled, Target]], folder: Path) -> dict[str, Engine]:
    return {
        name: stack.enter_context(load(at.backend).open(folder / folder_of(name), files, at, threads=1))
        for name, (files, at) in made.items()
    }


def _targets() -> tuple[Target, Target]:
    """For this CPU, of ONNX Runtime and of OpenVINO."""
    pairs = (("x86-cpu", "intel-cpu"), ("x86-avx2", "intel-avx2"))
    names = next(pair for pair in pairs if not other_cpu(load_target(pair[0])))
    return load_target(names[0]), load_target(names[1])


def _made(
    known: Pivot, pivot: Path, shots: Shots, settings: Settings, folder: Path, targets: tuple[Target, Target]
) -> dict[str, tuple[Compiled, Target]]:
    made: dict[str, tuple[Compiled, Target]] = {}
    ours: tuple[tuple[str, Precision], ...] = ((FLOAT, "float32"), (OURS, "int8"))
    for target, suffix in zip(targets, ("", ON_OPENVINO), strict=True):
        for name, precision in ours:
            out = _fresh(folder / folder_of(name + suffix))
            model = pivot / model_for(known, target, precision).file
            made[name + suffix] = (load(target.backend).compile(model, target, precision, out), target)
    floating = pivot / model_for(known, targets[0], "float32").file
    for way in _ways(targets[0], settings.methods):
        out = _fresh(folder / folder_of(way.name))
        with open_store(folder / "rivals") as store:  # kept while the float model is the same
            shutil.copytree(make(store, floating, way, shots).folder, out, dirs_exist_ok=True)
        target = next(each for each in targets if each.backend == way.backend)
        made[way.name] = (compiled(way, out, load(way.backend).version()), target)
    return made


def _ways(target: Target, methods: Sequence[str]) -> list[Way]:
    known = (*static_recipes(reduce_range=target.scheme.weight_pairs_in_int16), *nncf_recipes())
    return [way for way in known if way.name in methods]


def _fresh(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    return folder


def _pivot(key: Key, found: Trained, samples: Sequence[Sample], folder: Path, targets: Sequence[Target]) -> Path:
    """The folder that `edgetl import` exports for the network's file."""
    classes = 1 + max(sample.label for sample in samples) if found.pictures == "cifar" else 1000
    (folder / "classes.txt").write_text("\n".join(map(str, range(classes))), encoding="utf-8")
    for name in ("train", "val"):
        kept = samples[::_CALIBRATES] if name == "train" else [s for i, s in enumerate(samples) if i % _CALIBRATES]
        rows = [f"{sample.path},{sample.label}" for sample in kept]
        (folder / f"{name}.csv").write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    recipe = {
        "name": key.network,
        "data": {"train": "train.csv", "val": "val.csv", "shots": "all", "resize": "crop"},
        "network": {"file": "network.onnx", "classes": "classes.txt", **found.seen},
        "check": {"allow_leak": True},
        "targets": [target.name for target in targets],
    }
    job = make_job(parse_recipe(recipe, where=key.network), folder, out=folder / "build")
    run(job, Silent(), "export")
    return folder / "build" / "pivot"


def _samples(folder: Path, kind: Pictures) -> list[Sample]:
    """imagenet: `<class index>_<anything>.jpg` in the order of names. cifar: a folder for each class, one of each in
    turn."""
    if kind == "imagenet":
        paths = sorted(folder.resolve().glob("*.jpg"))
        return [
            Sample(path=str(path), truth=int(path.name.partition("_")[0]), sha256=file_digest(path)) for path in paths
        ]
    places = sorted(each for each in folder.resolve().iterdir() if each.is_dir())
    numbered = [
        (n, label, path) for label, place in enumerate(places) for n, path in enumerate(sorted(place.iterdir()))
    ]
    return [_sample(path, label) for _, label, path in sorted(numbered)]


def _sample(path: Path, label: int) -> Sample:
    return Sample(path=str(path), truth=label, sha256=file_digest(path))
