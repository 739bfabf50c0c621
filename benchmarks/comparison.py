"""One runtime: edgetl's builds and the plain alternatives on the same images, timed in the same rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import plain_models
from finished_build import FinishedBuild
from numpy.typing import NDArray
from pydantic import TypeAdapter
from repeated_ratio import Ratio, quantile, ratio
from result_file import versions

from edgetl import stats
from edgetl.backends.base import load
from edgetl.bench.latency import interleaved
from edgetl.bench.machine import Machine, describe
from edgetl.bundle.read import Bundle
from edgetl.data.batches import batches, load_batch, spread
from edgetl.errors import EdgetlError
from edgetl.files.digest import file_digest, value_digest
from edgetl.pivot.float_logits import read_reference
from edgetl.pivot.pivot import read_pivot
from edgetl.store.records import REFERENCE_LOGITS
from edgetl.store.results import Store, write_text
from edgetl.tasks.classification.accuracy import Accuracy, compare, predict_each, stratified
from edgetl.types import Compiled, Engine, Interval, Preprocessing, Sample, Target

FLOAT, OURS = "edgetl float32", "edgetl int8"
_RESULT_FILE = "comparison.json"
_FLOAT_MODEL = "float32.onnx"
_MEASURE_VERSION = 2

_Times = NDArray[np.int64]
_Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """runs, warmup  rounds per repeat. repeats  times the engines are opened afresh. max_val  None: all images."""

    runs: int
    warmup: int
    repeats: int
    threads: int
    max_val: int | None


@dataclass(frozen=True)
class Entry:
    """One build.

    making_seconds    training or calibration; None for a build that needs none
    speedup           over edgetl's float32 build; None for that itself
    ours_faster       its time over edgetl's int8: above 1 edgetl is faster; None for that itself
    ours_better       top-1 of edgetl's int8 minus this build's, paired, in points
    """

    name: str
    settings: Mapping[str, str]
    placement: str
    size_bytes: int
    making_seconds: float | None
    accuracy: Accuracy
    p50_ms: Interval | None
    p90_ms: Interval | None
    p99_ms: Interval | None
    speedup: Ratio | None
    ours_faster: Ratio | None
    ours_better: Interval | None


@dataclass(frozen=True)
class Comparison:
    """All builds of one recipe on one runtime. `load_averages`: before each repeat."""

    recipe: str
    target: str
    backend: str
    backend_version: str
    machine: Machine
    load_averages: tuple[float | None, ...]
    shots: int
    images: int
    reference: Accuracy
    settings: Settings
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class _Build:
    """Something that edgetl's backend can open."""

    folder: Path
    compiled: Compiled
    settings: Mapping[str, str]
    making_seconds: float | None

    def size_bytes(self) -> int:
        return sum((self.folder / name).stat().st_size for name in self.compiled.files)


@dataclass(frozen=True)
class _Job:
    build: FinishedBuild
    target: Target
    builds: Mapping[str, _Build]
    val: tuple[Sample, ...]
    reference: _Logits
    preprocessing: Preprocessing
    settings: Settings
    seed: int

    @property
    def labels(self) -> NDArray[np.int64]:
        return np.array([sample.label for sample in self.val], dtype=np.int64)


def compare_builds(store: Store, build: FinishedBuild, target: str, settings: Settings, again: bool) -> Path:
    """Make the alternatives and measure, each unless done before. Returns the folder with the result."""
    job = _job(store, build, target, settings)
    config = {
        "target": target,
        "settings": asdict(settings),
        "cpu": describe().cpu,
        "tools": versions(),
        "seed": job.seed,
    }
    inputs = {name: value_digest(_digests(each)) for name, each in job.builds.items()}
    inputs |= {"val": value_digest([sample.sha256 for sample in job.val])}
    if again:
        _forget(store, target)
    return store.once(
        f"measure-{target}", _MEASURE_VERSION, config, lambda out: _measure(job, out), inputs=inputs
    ).folder


def read_comparison(folder: Path) -> Comparison:
    return TypeAdapter(Comparison).validate_json((folder / _RESULT_FILE).read_bytes())


def _job(store: Store, build: FinishedBuild, target: str, settings: Settings) -> _Job:
    split = build.split()
    preprocessing = read_pivot(build.pivot).preprocessing
    reference = read_reference(build.pivot / REFERENCE_LOGITS, len(split.val))
    labels = np.array([sample.label for sample in split.val], dtype=np.int64)
    chosen = np.sort(stratified(labels, settings.max_val or len(labels)))
    shots = plain_models.Shots(split.shots, preprocessing)
    ours = build.builds(target)
    if not {"float32", "int8"} <= set(ours):
        raise EdgetlError(f"{build.out}: target {target} has no float32 and int8 build to compare")
    manifest = ours["int8"].manifest
    backend = load(manifest.compiled.backend)
    builds = {
        f"edgetl {precision}": _ours(build, bundle)
        for precision, bundle in ours.items()
        if backend.cannot_run(manifest.target, precision) is None
    }
    for recipe in plain_models.recipes(manifest.compiled.backend):
        made = plain_models.make(store, build.pivot / _FLOAT_MODEL, recipe, shots)
        opened = plain_models.compiled(recipe, made.folder, manifest.compiled.backend_version)
        builds[recipe.name] = _Build(made.folder, opened, recipe.settings, made.seconds)
    return _Job(
        build=build,
        target=manifest.target,
        builds=builds,
        val=tuple(split.val[index] for index in chosen),
        reference=reference[chosen],
        preprocessing=preprocessing,
        settings=settings,
        seed=int(build.report.recipe["data"]["seed"]),
    )


def _ours(build: FinishedBuild, bundle: Bundle) -> _Build:
    trainings = (stage for stage in build.stages if stage.stage == "quantize")
    seconds = next((stage.seconds for stage in trainings if stage.subject == bundle.manifest.scheme), None)
    return _Build(bundle.folder, bundle.manifest.compiled, {}, seconds)


def _digests(build: _Build) -> dict[str, str]:
    return {name: file_digest(build.folder / name) for name in build.compiled.files}


def _forget(store: Store, target: str) -> None:
    # a result without its record counts as not finished
    for record in store.stages.glob(f"measure-{target}-*.json"):
        record.unlink()


def _measure(job: _Job, out: Path) -> None:
    machine = describe()
    logits, placements = _answers(job)
    repeats: list[dict[str, _Times]] = []
    loads: list[float | None] = []
    for repeat in range(job.settings.repeats):
        loads.append(describe().load_average)
        repeats.append(_time(job, job.seed + repeat))
    comparison = Comparison(
        recipe=job.build.report.name,
        target=job.target.name,
        backend=job.target.backend,
        backend_version=load(job.target.backend).version(),
        machine=machine,
        load_averages=tuple(loads),
        shots=len(job.build.split().shots),
        images=len(job.val),
        reference=compare(job.reference, job.labels, job.reference, job.seed),
        settings=job.settings,
        entries=tuple(_entry(job, name, logits, placements[name], repeats) for name in job.builds),
    )
    write_text(out / _RESULT_FILE, TypeAdapter(Comparison).dump_json(comparison, indent=1).decode() + "\n")


def _open(job: _Job, stack: ExitStack) -> dict[str, Engine]:
    backend = load(job.target.backend)
    return {
        name: stack.enter_context(backend.open(each.folder, each.compiled, job.target, threads=job.settings.threads))
        for name, each in job.builds.items()
    }


def _answers(job: _Job) -> tuple[dict[str, _Logits], dict[str, str]]:
    with ExitStack() as stack:
        engines = _open(job, stack)
        placements = {name: engine.placement().summary() for name, engine in engines.items()}
        return predict_each(engines, batches(job.val, job.preprocessing)), placements


def _time(job: _Job, seed: int) -> dict[str, _Times]:
    images = load_batch(spread(job.val), job.preprocessing)
    with ExitStack() as stack:
        settings = job.settings
        return interleaved(_open(job, stack), images, runs=settings.runs, warmup=settings.warmup, seed=seed)


def _entry(
    job: _Job,
    name: str,
    logits: Mapping[str, _Logits],
    placement: str,
    repeats: Sequence[Mapping[str, _Times]],
) -> Entry:
    build = job.builds[name]
    p50, p90, p99 = (quantile([repeat[name] for repeat in repeats], q) for q in (0.5, 0.9, 0.99))
    right, ours = (logits[each].argmax(axis=1) == job.labels for each in (name, OURS))
    return Entry(
        name=name,
        settings=build.settings,
        placement=placement,
        size_bytes=build.size_bytes(),
        making_seconds=build.making_seconds,
        accuracy=compare(logits[name], job.labels, job.reference, job.seed),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        speedup=None if name == FLOAT else ratio(repeats, FLOAT, name, job.seed),
        ours_faster=None if name == OURS else ratio(repeats, name, OURS, job.seed),
        ours_better=None if name == OURS else stats.paired_difference(ours, right),
    )
