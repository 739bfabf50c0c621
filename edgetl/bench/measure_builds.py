"""The bench stage of one target: measures every build on its own runtime, or records the reason why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from edgetl import stats
from edgetl.backends.base import load
from edgetl.backends.fresh_process import Interrupted, cold_start
from edgetl.bench.absent_cpu import emulated
from edgetl.bench.job import BenchJob, Candidate
from edgetl.bench.latency import BLOCK
from edgetl.bench.machine import describe, gpu_of, other_cpu
from edgetl.bench.result import BENCH_FILE, LATENCY_FILE, PREDICTIONS_FILE, BuildBench, TargetBench, write_bench
from edgetl.bench.timed import P99_RUNS, Timed, latency, timed
from edgetl.data.batches import batches, load_batch, spread
from edgetl.errors import BackendError, EdgetlError
from edgetl.files.arrays import UnreadableArray, read_tensors
from edgetl.tasks.classification.accuracy import compare, predict
from edgetl.types import (
    PRECISIONS,
    Backend,
    ColdStart,
    Engine,
    Interval,
    Missing,
    Placement,
    Precision,
    Progress,
    Sample,
)

if TYPE_CHECKING:
    from edgetl.types import Tensors


_Logits = NDArray[np.float32]
_Times = NDArray[np.int64]


@dataclass(frozen=True)
class _Out:
    """Builds that are not measured any further, by precision.

    errors  builds that do not run; interrupted  builds that could not be measured this time
    """

    errors: dict[str, str] = field(default_factory=dict)
    interrupted: dict[str, str] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.errors or name in self.interrupted


class _Watched:
    """An engine that records its error, because a timing loop over several cannot tell which one failed."""

    def __init__(self, name: str, engine: Engine, failed: dict[str, str]) -> None:
        self._name, self._engine, self._failed = name, engine, failed

    def infer(self, inputs: Tensors) -> Tensors:
        try:
            return self._engine.infer(inputs)
        except BackendError as error:
            self._failed[self._name] = str(error)
            raise

    def placement(self) -> Placement:
        return self._engine.placement()


def run(job: BenchJob, out: Path, progress: Progress) -> None:
    """Measure the target's builds; write bench.json, predictions.safetensors and latency.safetensors into `out`.

    A build that fails to open or to run is recorded with its error, and the others continue. A build that could not be
    measured for an external reason is recorded as such, and the next run tries again.
    raises  EdgetlError if the reference does not fit the validation images.
    """
    reference = read_reference(job.reference, len(job.val))
    backend = load(job.target.backend)
    obstacle = _obstacle(backend, job)
    if obstacle is None:
        bench, logits, times = _measure(backend, job, reference, progress)
    else:
        bench, logits = emulated(backend, job, reference, obstacle, progress)
        times = {}
    save_file(dict(logits), out / PREDICTIONS_FILE)
    save_file(dict(times), out / LATENCY_FILE)
    write_bench(bench, out / BENCH_FILE)


def read_reference(path: Path, images: int) -> _Logits:
    """(images, classes) float32 logits of the float network. Raises EdgetlError if they do not fit."""
    try:
        logits = read_tensors(path).get("logits", np.zeros(0))
    except UnreadableArray as error:
        raise EdgetlError(f"{path}: cannot read the reference logits: {error}") from error
    if logits.ndim != 2 or logits.shape[0] != images:
        raise EdgetlError(f"{path}: expected logits of {images} validation images; found shape {logits.shape}")
    return np.asarray(logits, dtype=np.float32)


def _obstacle(backend: Backend, job: BenchJob) -> Missing | None:
    found = backend.cannot_run(job.target)
    if found is None and not all(candidate.compiled.finished for candidate in job.candidates):
        return Missing(
            "the last build step runs on the device",
            "run edgetl compile --finish BUNDLE there, then edgetl bench BUNDLE",
        )
    return found


def _cannot_run(backend: Backend, job: BenchJob) -> dict[str, str]:
    """Builds that this machine cannot run although it runs others of the target: bfloat16 on a CPU without it."""
    obstacles = {c.precision: backend.cannot_run(job.target, c.precision) for c in job.candidates}
    return {name: f"{found.reason}; {found.remedy}" for name, found in obstacles.items() if found}


def _measure(
    backend: Backend, job: BenchJob, reference: _Logits, progress: Progress
) -> tuple[TargetBench, dict[str, _Logits], dict[str, _Times]]:
    machine = describe()
    labels = _labels(job.val)
    out = _Out(_cannot_run(backend, job))
    cold = {c.precision: _cold_start(job, c, out, progress) for c in job.candidates if c.precision not in out}
    with ExitStack() as stack:
        engines, placements = _open_all(backend, job, stack, out)
        logits = _predict(job, engines, out, progress)
        found = _time(job, {name: engine for name, engine in engines.items() if name not in out}, out, progress)
    times = found.times if found else {}
    builds: list[BuildBench] = []
    for candidate in job.candidates:
        name = candidate.precision
        build = BuildBench(
            precision=name,
            size_bytes=candidate.size_bytes(),
            error=out.errors.get(name),
            unmeasured=out.interrupted.get(name),
        )
        if name not in out:
            over = _speedups(job, times, name)
            asked = PRECISIONS[name].all_integer
            build = replace(
                build,
                placement=placements[name].summary(),
                not_integer=tuple(op.name for op in placements[name].not_integer()) if asked else (),
                conversions=len(placements[name].conversions()) if asked else None,
                accuracy=compare(logits[name], labels, reference, job.seed),
                latency=latency(times[name], job.config.threads),
                speedup=over.pop("float32", None),
                speedup_over=over,
                cold_start=cold[name],
            )
        builds.append(build)
    gpus = (gpu_of(job.target, placement) for placement in placements.values())
    bench = TargetBench(
        target=job.target.name,
        backend=backend.name,
        backend_version=backend.version(),
        measured=True,
        emulated=False,
        reason="",
        machine=replace(machine, gpu=next((gpu for gpu in gpus if gpu), None)),
        images=tuple(range(len(job.val))),
        builds=tuple(builds),
        other_cpu=other_cpu(job.target),
        labels=job.labels,
        conditions=found.conditions if found else None,
    )
    return bench, {name: values for name, values in logits.items() if name not in out}, times


def _open_all(
    backend: Backend, job: BenchJob, stack: ExitStack, out: _Out
) -> tuple[dict[str, Engine], dict[str, Placement]]:
    engines: dict[str, Engine] = {}
    placements: dict[str, Placement] = {}
    for candidate in job.candidates:
        name = candidate.precision
        if name in out:
            continue
        try:
            opened = backend.open(candidate.folder, candidate.compiled, job.target, threads=job.config.threads)
            engine = stack.enter_context(opened)
            placements[name] = engine.placement()
            engines[name] = engine
        except BackendError as error:
            out.errors[name] = str(error)
    return engines, placements


def _predict(job: BenchJob, engines: Mapping[str, Engine], out: _Out, progress: Progress) -> dict[str, _Logits]:
    """Logits of every build on all validation images, which are read once. A build that fails is dropped."""
    parts: dict[str, list[_Logits]] = {name: [] for name in engines}
    if not parts:
        return {}
    with progress.task(f"{job.target.name}: accuracy", total=len(job.val)) as advance:
        for images in batches(job.val, job.preprocessing):
            for name in list(parts):
                try:
                    parts[name].append(predict(engines[name], [images]))
                except BackendError as error:
                    out.errors[name] = str(error)
                    del parts[name]
            advance(len(images))
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def _time(job: BenchJob, engines: Mapping[str, Engine], out: _Out, progress: Progress) -> Timed | None:
    """Times of every build, taken in the same rounds. If one fails, the others are timed again without it.

    None if none is left.
    """
    images = load_batch(spread(job.val), job.preprocessing)
    config, for_p99 = job.config, job.gates.max_p99_ms is not None
    total = max(config.runs, P99_RUNS) if for_p99 else config.runs
    left = dict(engines)
    while left:
        failed: dict[str, str] = {}
        watched = {name: _Watched(name, engine, failed) for name, engine in left.items()}
        try:
            with progress.task(f"{job.target.name}: latency", total=total) as advance:
                return timed(
                    watched,
                    images,
                    runs=config.runs,
                    warmup=config.warmup,
                    threads=config.threads,
                    seed=job.seed,
                    for_p99=for_p99,
                    advance=advance,
                )
        except BackendError:
            if not failed:
                raise
        out.errors.update(failed)
        left = {name: engine for name, engine in left.items() if name not in failed}
    return None


def _cold_start(job: BenchJob, candidate: Candidate, out: _Out, progress: Progress) -> ColdStart | None:
    """A build that fails here is not opened in this process, which would hang or crash like the fresh one."""
    image = load_batch(job.val[:1], job.preprocessing)[0]
    with progress.task(f"{job.target.name}: {candidate.precision} cold start", total=None):
        try:
            return cold_start(candidate.folder, candidate.compiled, job.target, image, threads=job.config.threads)
        except Interrupted as error:
            out.interrupted[candidate.precision] = str(error)
        except BackendError as error:
            out.errors[candidate.precision] = str(error)
    return None


def _speedups(job: BenchJob, times: Mapping[str, _Times], name: Precision) -> dict[Precision, Interval]:
    """Speed-up over each other build that was timed."""
    others = [c.precision for c in job.candidates if c.precision in times and c.precision != name]
    return {other: stats.speedup(times[other], times[name], block=BLOCK, seed=job.seed) for other in others}


def _labels(samples: Sequence[Sample]) -> NDArray[np.int64]:
    return np.array([sample.label for sample in samples], dtype=np.int64)
