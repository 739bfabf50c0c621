"""Builds of one trained detector for the targets of this CPU: those of edgetl, `quantize_static` and NNCF."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from detection_cells import Draw, Network
from detection_edgetl import detection_job, split_of
from numpy.typing import NDArray
from plain_models import Recipe, Shots, compiled, make, nncf_recipes, static_recipes
from quantization_rivals import missing
from repeated_ratio import Ratio, quantile, ratio
from result_file import made_here

from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backends.base import load
from edgetl.backends.failures import one_line
from edgetl.bench.latency import interleaved
from edgetl.bench.machine import describe, other_cpu
from edgetl.bundle.read import read_bundle
from edgetl.errors import EdgetlError
from edgetl.fronts.batches import TIMED_IMAGES, batches, frames_of, load_batch, spread
from edgetl.pivot.adapted import NETWORK_SPEC, NETWORK_STATE
from edgetl.pivot.float_answers import REFERENCE_LOGITS, read_reference
from edgetl.pivot.pivot import read_pivot
from edgetl.recipes.job import Job, schemes_of
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.recipe import Detector as Settings
from edgetl.recipes.run import Run
from edgetl.recipes.targets import load_target
from edgetl.stages.adapt import adapt_stage
from edgetl.stages.compile import compile_stage, precisions_of
from edgetl.stages.export import export_stage
from edgetl.stages.quantize import quantize_stage
from edgetl.store.results import StageResult, open_store
from edgetl.tasks.base import load_task
from edgetl.tasks.detection.networks import ssd_build, yolox_build
from edgetl.tasks.detection.scores import DetectionScores
from edgetl.tasks.detection.spec import write_detector_spec
from edgetl.tasks.running import answer_all
from edgetl.types import Compiled, Engine, Interval, Sample, Silent, Split, Target, WeightSource

COCO = "coco"
"""In place of a set: published detectors as they are, calibrated on the images of `train2017`."""
COCO_NETWORKS = ("yolox_nano", "ssd_mobilenet_v1")
FLOAT, INT8 = "float32", "int8"
_TARGETS = ("x86-cpu", "intel-cpu", "x86-avx2", "intel-avx2")
_BATCH = 8
_WARMUP = 5

_Nanoseconds = NDArray[np.int64]


@dataclass(frozen=True)
class Key:
    """One detector on one target. shots  as words; version  of the code"""

    dataset: str
    shots: str
    draw: int
    network: str
    target: str
    version: str


@dataclass(frozen=True)
class Built:
    """drop_points  of AP below the float torch network, paired by image;  placement  of its compute operators
    speedup  time of the float build over its time, in the same rounds; None for that one"""

    ap: Interval
    drop_points: Interval
    p50_ms: Interval | None
    speedup: Ratio | None
    placement: str
    size_bytes: int
    making_seconds: float | None


@dataclass(frozen=True)
class Cell:
    """refused  tools that could not make a build, and why;  reference  AP of the float torch network"""

    key: Key
    images: int
    reference: Interval
    builds: Mapping[str, Built]
    refused: Mapping[str, str]
    runs: int
    repeats: int
    loads: tuple[float | None, ...]
    made_with: str


@dataclass(frozen=True)
class Timing:
    """runs  of each build per repeat;  repeats  times the engines are opened afresh"""

    runs: int
    repeats: int


@dataclass(frozen=True)
class _Made:
    folder: Path
    compiled: Compiled
    seconds: float | None


def targets_here() -> tuple[str, ...]:
    """Targets that are this CPU's kind."""
    return tuple(name for name in _TARGETS if not other_cpu(load_target(name)))


@contextmanager
def trained(job: Job) -> Iterator[tuple[Run, StageResult]]:
    """The detector that `auto` trained in the job's output folder, or trains now."""
    split = split_of(job)
    with open_store(job.out) as store:
        run = Run(store, job, split, Silent())
        yield run, adapt_stage(run)


@contextmanager
def published(data: Path, weights: Path, network: str, folder: Path) -> Iterator[tuple[Run, StageResult]]:
    """A detector of COCO as it was published, as if it had been trained on `coco_samples`."""
    side = {"yolox_nano": 416, "ssd_mobilenet_v1": 300}[network]
    job = detection_job(
        data, weights, Draw("coco_samples", "all", 0), Network(network, side, f"{network}_coco"), folder,
        targets=targets_here(),
    )  # fmt: skip
    split = split_of(job)
    if network == "ssd_mobilenet_v1":
        split = _numbered_as_in_coco(split, data)

    def write(out: Path) -> None:
        build = yolox_build.build if network == "yolox_nano" else ssd_build.build
        source = WeightSource("file", str((weights / f"{network}_coco" / "model.safetensors").resolve()))
        detector, spec, _ = build(
            Backbone(name=network), Settings(), source, len(split.classes), "squash", keep_classes=True
        )
        write_checkpoint({name: each.contiguous() for name, each in detector.state_dict().items()}, out / NETWORK_STATE)
        write_detector_spec(spec, out / NETWORK_SPEC)

    with open_store(job.out) as store:
        yield Run(store, job, split, Silent()), store.once("published", 1, {"network": network}, write)


def measure(
    run: Run, adapted: StageResult, keys: Sequence[Key], methods: Sequence[str], timing: Timing
) -> Iterable[Cell]:
    """A cell for each target of the job. methods  of the alternatives, by the names of their recipes"""
    gates = run.job.recipe.gates
    quantized = {scheme: quantize_stage(run, adapted, scheme, gates) for scheme in schemes_of(run.job)}
    pivot = export_stage(run, adapted, quantized)
    for key in keys:
        target = next(each for each in run.job.targets if each.name == key.target)
        builds = {}
        for precision in precisions_of(pivot, target):
            made = compile_stage(run, target, precision, pivot)
            seconds = sum(each.seconds for each in quantized.values()) if precision == INT8 else None
            builds[str(precision)] = _Made(made.folder, read_bundle(made.folder).manifest.compiled, seconds)
        refused = {}
        for recipe in _alternatives(target, methods):
            try:
                builds[recipe.name] = _alternative(run, pivot, recipe)
            except EdgetlError as error:
                refused[recipe.name] = str(error)
        yield _measured(run, pivot, key, target, builds, refused, timing)


def _alternatives(target: Target, methods: Sequence[str]) -> list[Recipe]:
    if target.backend == "openvino":
        found = () if missing("nncf mixed") else nncf_recipes(detector=True)
    else:
        found = static_recipes(reduce_range=target.scheme.weight_pairs_in_int16, detector=True)
    return [recipe for recipe in found if recipe.name in methods]


def _alternative(run: Run, pivot: StageResult, recipe: Recipe) -> _Made:
    shots = Shots(run.split.shots, read_pivot(pivot.folder).preprocessing)

    def guarded(path: Path, images: Shots, out: Path) -> None:
        try:
            recipe.make(path, images, out)
        except Exception as error:  # the tools raise what they like; one build is lost, not the run
            raise EdgetlError(f"{recipe.name}: {one_line(error)}") from error

    made = make(run.store, pivot.folder / "float32.onnx", replace(recipe, make=guarded), shots)
    return _Made(made.folder, compiled(recipe, made.folder, load(recipe.backend).version()), made.seconds)


def _measured(
    run: Run,
    pivot: StageResult,
    key: Key,
    target: Target,
    builds: Mapping[str, _Made],
    refused: Mapping[str, str],
    timing: Timing,
) -> Cell:
    val, p = run.split.val, read_pivot(pivot.folder).preprocessing
    backend = load(target.backend)

    def opened(stack: ExitStack) -> dict[str, Engine]:
        return {
            name: stack.enter_context(backend.open(each.folder, each.compiled, target, threads=1))
            for name, each in builds.items()
        }

    with ExitStack() as stack:
        engines = opened(stack)
        placements = {name: engine.placement().summary() for name, engine in engines.items()}
        measured = _accuracies(run, pivot, engines, val)
    repeats: list[dict[str, _Nanoseconds]] = []
    loads: list[float | None] = []
    images = load_batch(spread(val, TIMED_IMAGES), p)
    for seed in range(timing.repeats):
        loads.append(describe().load_average)
        with ExitStack() as stack:
            repeats.append(interleaved(opened(stack), images, runs=timing.runs, warmup=_WARMUP, seed=seed))
    return Cell(
        key=key,
        images=len(val),
        reference=measured[""].ap.value,
        builds={
            name: Built(
                ap=measured[name].ap.value,
                drop_points=measured[name].drop_points,
                p50_ms=quantile([times[name] for times in repeats], 0.5),
                speedup=ratio(repeats, FLOAT, name, 0) if name != FLOAT else None,
                placement=placements[name],
                size_bytes=sum((each.folder / file).stat().st_size for file in each.compiled.files),
                making_seconds=each.seconds,
            )
            for name, each in builds.items()
        },
        refused=refused,
        runs=timing.runs,
        repeats=timing.repeats,
        loads=tuple(loads),
        made_with=made_here(),
    )


def _accuracies(
    run: Run, pivot: StageResult, engines: Mapping[str, Engine], val: Sequence[Sample]
) -> dict[str, DetectionScores]:
    """Of every engine, and of the float torch network as ""."""
    task, p = load_task("detection"), read_pivot(pivot.folder).preprocessing
    reference = read_reference(pivot.folder / REFERENCE_LOGITS, task.kept, len(val))
    answers = answer_all(task, engines, batches(val, p, _BATCH), frames_of(val, p))
    truths, found = [sample.truth for sample in val], {}
    for name, each in {"": reference, **answers}.items():
        measured = task.measure(each, truths, reference, len(run.split.classes))
        assert isinstance(measured, DetectionScores)
        found[name] = measured
    return found


def _numbered_as_in_coco(split: Split, data: Path) -> Split:
    """The network has a column for each of 90 numbers, ten of which no object has."""
    import json

    document = json.loads((data / "coco_samples" / "val2017.json").read_text(encoding="utf-8"))
    number = {category["name"]: category["id"] - 1 for category in document["categories"]}
    classes = list(map(str, range(1, 91)))
    for name, place in number.items():
        classes[place] = name

    def renumbered(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
        return tuple(
            replace(
                sample,
                truth=tuple(replace(box, label=number[split.classes[box.label]]) for box in sample.boxes),
            )
            for sample in samples
        )

    return replace(split, classes=tuple(classes), shots=renumbered(split.shots), val=renumbered(split.val))
