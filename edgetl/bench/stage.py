"""The bench stage of one target: every build on its own runtime, or the reason why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from edgetl import stats
from edgetl.backends.base import load
from edgetl.bench import emulate
from edgetl.bench.accuracy import compare, predict_each, stratified
from edgetl.bench.isolated import cold_start
from edgetl.bench.latency import interleaved
from edgetl.bench.machine import Machine, describe
from edgetl.bench.result import (
    BENCH_FILE,
    LATENCY_FILE,
    PREDICTIONS_FILE,
    BuildBench,
    ColdStart,
    Latency,
    TargetBench,
    write_bench,
)
from edgetl.data.views import batches, load_batch, spread
from edgetl.errors import BackendError, EdgetlError
from edgetl.recipe import Bench
from edgetl.types import (
    WITH_INTEGERS,
    Backend,
    Compiled,
    Engine,
    Interval,
    Missing,
    Placement,
    Precision,
    Preprocessing,
    Progress,
    Sample,
    Target,
)

_BATCH = 16
_ALL_INTEGER: tuple[Precision, ...] = ("int8", "simplified")  # whatever is float in them was not asked for
_EMULATED_FLOAT_IMAGES = 8  # float is the slowest under emulation, and its arithmetic hardly differs between CPUs

_Logits = NDArray[np.float32]
_Times = NDArray[np.int64]


@dataclass(frozen=True)
class Candidate:
    """A compiled build: the folder its backend wrote, and what it needs to open it."""

    folder: Path
    compiled: Compiled

    @property
    def precision(self) -> Precision:
        return self.compiled.precision

    def size_bytes(self) -> int:
        return sum((self.folder / name).stat().st_size for name in self.compiled.files)


@dataclass(frozen=True)
class BenchJob:
    """One target's builds and what to measure them on.

    val        the validation images; they were never trained or calibrated on
    reference  safetensors file with "logits" (len(val), classes): the float torch network, in the order of `val`
    """

    target: Target
    candidates: tuple[Candidate, ...]
    val: tuple[Sample, ...]
    preprocessing: Preprocessing
    reference: Path
    config: Bench
    seed: int = 0


def run(job: BenchJob, out: Path, progress: Progress) -> None:
    """Measure the target's builds; write bench.json, predictions.safetensors and latency.safetensors into `out`.

    A build that fails to open or to run is recorded with its error; the others go on.
    raises  EdgetlError when the reference does not fit the validation images.
    """
    reference = read_reference(job.reference, len(job.val))
    backend = load(job.target.backend)
    obstacle = _obstacle(backend, job)
    if obstacle is None:
        bench, logits, times = _measure(backend, job, reference, progress)
    else:
        bench, logits = _emulate(backend, job, reference, obstacle, progress)
        times = {}
    save_file(dict(logits), out / PREDICTIONS_FILE)
    save_file(dict(times), out / LATENCY_FILE)
    write_bench(bench, out / BENCH_FILE)


def read_reference(path: Path, images: int) -> _Logits:
    """(images, classes) float32 logits of the float network. Raises EdgetlError when they do not fit."""
    try:
        logits = load_file(path)["logits"]
    except (OSError, KeyError, SafetensorError) as error:
        raise EdgetlError(f"{path}: cannot read the reference logits: {error}") from error
    if logits.ndim != 2 or logits.shape[0] != images:
        raise EdgetlError(f"{path}: expected logits of {images} validation images; found shape {logits.shape}")
    return np.asarray(logits, dtype=np.float32)


def _obstacle(backend: Backend, job: BenchJob) -> Missing | None:
    found = backend.missing() or backend.cannot_run(job.target)
    if found is None and not all(candidate.compiled.finished for candidate in job.candidates):
        return Missing("the last build step runs on the device", "edgetl compile --finish BUNDLE there, then bench it")
    return found


def _cannot_run(backend: Backend, job: BenchJob) -> dict[str, str]:
    """Builds this machine cannot run although it runs others of the target: bfloat16 on a CPU without it."""
    obstacles = {c.precision: backend.cannot_run(job.target, c.precision) for c in job.candidates}
    return {name: f"{found.reason}; {found.remedy}" for name, found in obstacles.items() if found}


def _measure(
    backend: Backend, job: BenchJob, reference: _Logits, progress: Progress
) -> tuple[TargetBench, dict[str, _Logits], dict[str, _Times]]:
    machine = describe()
    labels = _labels(job.val)
    errors = _cannot_run(backend, job)
    cold = {c.precision: _cold_start(job, c, errors, progress) for c in job.candidates if c.precision not in errors}
    with ExitStack() as stack:
        engines, placements = _open_all(backend, job, stack, errors)
        logits = _predict(job, engines, errors, progress)
        running = {name: engine for name, engine in engines.items() if name not in errors}
        times = _time(job, running, progress)
    builds: list[BuildBench] = []
    for candidate in job.candidates:
        name = candidate.precision
        build = BuildBench(precision=name, size_bytes=candidate.size_bytes(), error=errors.get(name))
        if name not in errors:
            build = replace(
                build,
                placement=placements[name].summary(),
                not_integer=tuple(op.name for op in placements[name].not_integer()) if name in _ALL_INTEGER else (),
                conversions=len(placements[name].conversions()) if name in _ALL_INTEGER else None,
                accuracy=compare(logits[name], labels, reference, job.seed),
                latency=_latency(times[name], job.config.threads),
                speedup=_speedup(times, name, job.seed),
                cold_start=cold[name],
            )
        builds.append(build)
    bench = TargetBench(
        target=job.target.name,
        backend=backend.name,
        backend_version=backend.version(),
        measured=True,
        emulated=False,
        reason="",
        machine=machine,
        images=tuple(range(len(job.val))),
        builds=tuple(builds),
    )
    return bench, logits, times


def _emulate(
    backend: Backend, job: BenchJob, reference: _Logits, obstacle: Missing, progress: Progress
) -> tuple[TargetBench, dict[str, _Logits]]:
    builds = [BuildBench(precision=c.precision, size_bytes=c.size_bytes()) for c in job.candidates]
    reason, emulator_missing = f"{obstacle.reason}; {obstacle.remedy}", _emulator_obstacle(job)
    machine = describe()
    logits: dict[str, _Logits] = {}
    picked: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
    if emulator_missing is None:
        labels = _labels(job.val)
        picked = stratified(labels, job.config.emulated_images)
        images = load_batch([job.val[index] for index in picked], job.preprocessing)
        for position, candidate in enumerate(job.candidates):
            name = candidate.precision
            used = picked if name in WITH_INTEGERS else picked[:_EMULATED_FLOAT_IMAGES]
            with progress.task(f"{job.target.name}: {name} on {len(used)} images under emulation", total=None):
                try:
                    logits[name] = _emulated_logits(candidate, images[: len(used)], machine)
                except BackendError as error:
                    builds[position] = replace(builds[position], error=str(error))
                    continue
            accuracy = compare(logits[name], labels[used], reference[used], job.seed)
            builds[position] = replace(builds[position], accuracy=accuracy)
    elif emulator_missing.reason:
        reason += f"; not emulated: {emulator_missing.reason} ({emulator_missing.remedy})"
    bench = TargetBench(
        target=job.target.name,
        backend=backend.name,
        backend_version=backend.version(),
        measured=False,
        emulated=emulator_missing is None,
        reason=reason,
        machine=machine,
        images=tuple(picked.tolist()),
        builds=tuple(builds),
    )
    return bench, logits


def _emulated_logits(candidate: Candidate, images: NDArray[np.uint8], machine: Machine) -> _Logits:
    threads = max(1, int(machine.usable_cores or 1))  # nothing is timed: use what is there
    return emulate.logits(candidate.folder / candidate.compiled.model, images, threads=threads)


def _emulator_obstacle(job: BenchJob) -> Missing | None:
    """None when accuracy can be checked under emulation; an empty reason when that is out of the question."""
    target = job.target
    if target.machine != "aarch64" or target.backend != "onnxruntime" or target.accelerator != "none":
        return Missing("", "")
    if not job.config.emulate:
        return Missing("switched off in the recipe", "bench.emulate: true")
    return emulate.missing()


def _open_all(
    backend: Backend, job: BenchJob, stack: ExitStack, errors: dict[str, str]
) -> tuple[dict[str, Engine], dict[str, Placement]]:
    engines: dict[str, Engine] = {}
    placements: dict[str, Placement] = {}
    for candidate in job.candidates:
        name = candidate.precision
        if name in errors:
            continue
        try:
            opened = backend.open(candidate.folder, candidate.compiled, job.target, threads=job.config.threads)
            engine = stack.enter_context(opened)
            placements[name] = engine.placement()
            engines[name] = engine
        except BackendError as error:
            errors[name] = str(error)
    return engines, placements


def _predict(
    job: BenchJob, engines: Mapping[str, Engine], errors: dict[str, str], progress: Progress
) -> dict[str, _Logits]:
    """Logits of every build on all validation images. A build that fails is tried out of the way first."""
    running: dict[str, Engine] = {}
    first = load_batch(job.val[:1], job.preprocessing)
    for name, engine in engines.items():
        try:
            predict_each({name: engine}, [first])
            running[name] = engine
        except BackendError as error:
            errors[name] = str(error)
    if not running:
        return {}
    with progress.task(f"{job.target.name}: accuracy", total=len(job.val)) as advance:
        return predict_each(running, batches(job.val, job.preprocessing, _BATCH), advance)


def _time(job: BenchJob, engines: Mapping[str, Engine], progress: Progress) -> dict[str, _Times]:
    if not engines:
        return {}
    images = load_batch(spread(job.val), job.preprocessing)
    config = job.config
    with progress.task(f"{job.target.name}: latency", total=config.runs) as advance:
        return interleaved(engines, images, runs=config.runs, warmup=config.warmup, seed=job.seed, advance=advance)


def _cold_start(job: BenchJob, candidate: Candidate, errors: dict[str, str], progress: Progress) -> ColdStart | None:
    image = load_batch(job.val[:1], job.preprocessing)[0]
    with progress.task(f"{job.target.name}: {candidate.precision} cold start", total=None):
        try:
            return cold_start(candidate.folder, candidate.compiled, job.target, image, threads=job.config.threads)
        except BackendError as error:
            errors[candidate.precision] = str(error)
            return None


def _latency(times: _Times, threads: int) -> Latency:
    milliseconds = times / 1e6
    p50, p90, p99 = (stats.quantile(milliseconds, q) for q in (0.5, 0.9, 0.99))
    return Latency(p50_ms=p50, p90_ms=p90, p99_ms=p99, runs=times.size, threads=threads)


def _speedup(times: Mapping[str, _Times], name: Precision, seed: int) -> Interval | None:
    if name == "float32" or "float32" not in times:
        return None
    return stats.speedup(times["float32"], times[name], seed)


def _labels(samples: Sequence[Sample]) -> NDArray[np.int64]:
    return np.array([sample.label for sample in samples], dtype=np.int64)
