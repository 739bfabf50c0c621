"""The bench stage of one target: measures every build on its own runtime, or records the reason why not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from edgetl.backends.base import load
from edgetl.backends.fresh_process import Interrupted, cold_start
from edgetl.bench import time_stats
from edgetl.bench.absent_cpu import emulated
from edgetl.bench.builds import Candidate, TargetBuilds
from edgetl.bench.latency import BLOCK
from edgetl.bench.machine import describe, gpu_of, other_cpu
from edgetl.bench.result import (
    BENCH_FILE,
    LATENCY_FILE,
    PREDICTIONS_FILE,
    BuildBench,
    OfLength,
    TargetBench,
    write_bench,
)
from edgetl.bench.timed import Timed, Timing, by_length, latency, timed, typical
from edgetl.errors import BackendError
from edgetl.fronts.batches import batches, frames_of, load_batch, load_example, spread
from edgetl.recipes.run import Run
from edgetl.tasks.base import Answers
from edgetl.tasks.running import answer
from edgetl.types import (
    PRECISIONS,
    Backend,
    ColdStart,
    Engine,
    Interval,
    Missing,
    Placement,
    Precision,
)

if TYPE_CHECKING:
    from edgetl.types import Tensors


_Times = NDArray[np.int64]
_APPENDED = re.compile(r"(_nchwc|_token_\d+|/Mat[mM]ul(Transpose|Scale)Fusion/)+$")


@dataclass(frozen=True)
class _Out:
    """Builds that are not measured any further, by precision.

    lacking      what this machine lacks to run a build
    errors       builds that do not run
    interrupted  builds that could not be measured this time
    """

    lacking: Mapping[str, str]
    errors: dict[str, str] = field(default_factory=dict)
    interrupted: dict[str, str] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.lacking or name in self.errors or name in self.interrupted


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


def measure_builds(run: Run, builds: TargetBuilds, out: Path) -> None:
    """Measure the target's builds; write bench.json, predictions.safetensors and latency.safetensors into `out`.

    A build that fails to open or to run is recorded with its error, and the others continue. A build that something
    else kept from being measured is marked, and the next run tries again. Under emulation the build that will ship, by
    the recipe's gates, runs on all images that the recipe asks for.
    """
    backend = load(builds.target.backend)
    obstacle = _obstacle(backend, builds)
    if obstacle is None:
        bench, answers, times = _measure(backend, run, builds)
    else:
        bench, answers = emulated(backend, run, builds, obstacle)
        times = {}
    save_file(dict(answers), out / PREDICTIONS_FILE)
    save_file(dict(times), out / LATENCY_FILE)
    write_bench(bench, out / BENCH_FILE)


def _not_integer(placement: Placement, in_float: frozenset[str]) -> tuple[str, ...]:
    """Without layers that were left in float on purpose. ONNX Runtime appends to a layer's name what it made of it."""
    return tuple(op.name for op in placement.not_integer() if _APPENDED.sub("", op.name) not in in_float)


def _obstacle(backend: Backend, builds: TargetBuilds) -> Missing | None:
    found = backend.cannot_run(builds.target)
    if found is None and not all(candidate.compiled.finished for candidate in builds.candidates):
        return Missing(
            "the last build step runs on the device",
            "run edgetl compile --finish BUNDLE there, then edgetl bench BUNDLE",
        )
    return found


def _lacking(backend: Backend, builds: TargetBuilds) -> dict[str, str]:
    """Why this machine cannot run a build although it runs others of the target: bfloat16 on a CPU without it."""
    obstacles = {c.precision: backend.cannot_run(builds.target, c.precision) for c in builds.candidates}
    return {name: f"{found.reason}; {found.remedy}" for name, found in obstacles.items() if found}


def _measure(
    backend: Backend, run: Run, builds: TargetBuilds
) -> tuple[TargetBench, dict[str, Answers], dict[str, _Times]]:
    machine, seed, threads = describe(), run.job.recipe.data.seed, run.job.recipe.bench.threads
    truths = [sample.truth for sample in run.split.val]
    out = _Out(_lacking(backend, builds))
    cold = {c.precision: _cold_start(run, builds, c, out) for c in builds.candidates if c.precision not in out}
    with ExitStack() as stack:
        engines, placements = _open_all(backend, builds, threads, stack, out)
        answers = _predict(run, builds, engines, out)
        found = _time(run, builds, {name: engine for name, engine in engines.items() if name not in out}, out)
        lengths = _by_length(run, builds, {name: engine for name, engine in engines.items() if name not in out})
    times = found.times if found else {}
    measured: list[BuildBench] = []
    for candidate in builds.candidates:
        name = candidate.precision
        build = BuildBench(
            precision=name,
            size_bytes=candidate.size_bytes(),
            error=out.errors.get(name),
            unmeasured=out.interrupted.get(name),
            lacking=out.lacking.get(name),
        )
        if name not in out:
            over = _speedups(builds, times, name, seed)
            asked = PRECISIONS[name].all_integer
            build = replace(
                build,
                placement=placements[name].summary(),
                not_integer=_not_integer(placements[name], builds.in_float) if asked else (),
                conversions=len(placements[name].conversions()) if asked else None,
                accuracy=builds.task.measure(
                    answers[name],
                    truths,
                    builds.reference,
                    len(run.split.classes),
                    seed,
                    groups=builds.groups,
                    settings=candidate.settings,
                ),
                latency=latency(times[name], threads),
                speedup=over.pop("float32", None),
                speedup_over=over,
                cold_start=cold[name],
                tokens=found.tokens if found else None,
                by_length=lengths.get(name, ()),
            )
        measured.append(build)
    gpus = (gpu_of(builds.target, placement) for placement in placements.values())
    bench = TargetBench(
        target=builds.target.name,
        backend=backend.name,
        backend_version=backend.version(),
        measured=True,
        emulated=False,
        reason="",
        machine=replace(machine, gpu=next((gpu for gpu in gpus if gpu), None)),
        images=tuple(range(len(run.split.val))),
        builds=tuple(measured),
        other_cpu=other_cpu(builds.target),
        labels=run.split.classes,
        conditions=found.conditions if found else None,
    )
    return bench, {name: values for name, values in answers.items() if name not in out}, times


def _open_all(
    backend: Backend, builds: TargetBuilds, threads: int, stack: ExitStack, out: _Out
) -> tuple[dict[str, Engine], dict[str, Placement]]:
    engines: dict[str, Engine] = {}
    placements: dict[str, Placement] = {}
    for candidate in builds.candidates:
        name = candidate.precision
        if name in out:
            continue
        try:
            opened = backend.open(candidate.folder, candidate.compiled, builds.target, threads=threads)
            engine = stack.enter_context(opened)
            placements[name] = engine.placement()
            engines[name] = engine
        except BackendError as error:
            out.errors[name] = str(error)
    return engines, placements


def _predict(run: Run, builds: TargetBuilds, engines: Mapping[str, Engine], out: _Out) -> dict[str, Answers]:
    """Answers of every build on all validation images, which are read once. A build that fails is dropped."""
    parts: dict[str, list[Answers]] = {name: [] for name in engines}
    if not parts:
        return {}
    val, p = run.split.val, builds.preprocessing
    frames = frames_of(val, p) if builds.task.in_image else ()
    done = 0
    with run.progress.task(f"{builds.target.name}: accuracy", total=len(val)) as advance:
        for images in batches(val, p):
            for name in list(parts):
                try:
                    parts[name].append(answer(builds.task, engines[name], images, frames[done : done + len(images)]))
                except BackendError as error:
                    out.errors[name] = str(error)
                    del parts[name]
            done += len(images)
            advance(len(images))
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def _time(run: Run, builds: TargetBuilds, engines: Mapping[str, Engine], out: _Out) -> Timed | None:
    """Times of every build, taken in the same rounds. If one fails, the others are timed again without it.

    None if none is left.
    """
    open_length = _has_lengths(builds)
    images = typical(_texts(run, builds)) if open_length else load_batch(spread(run.split.val), builds.preprocessing)
    timing = _timing(run)
    left = dict(engines)
    while left:
        failed: dict[str, str] = {}
        watched = {name: _Watched(name, engine, failed) for name, engine in left.items()}
        try:
            with run.progress.task(f"{builds.target.name}: latency", total=timing.most_runs) as advance:
                return replace(timed(watched, images, timing, advance), tokens=len(images[0]) if open_length else None)
        except BackendError:
            if not failed:
                raise
        out.errors.update(failed)
        left = {name: engine for name, engine in left.items() if name not in failed}
    return None


def _by_length(run: Run, builds: TargetBuilds, engines: Mapping[str, Engine]) -> Mapping[str, tuple[OfLength, ...]]:
    """Times of texts of every length; nothing of other inputs."""
    if not engines or not _has_lengths(builds):
        return {}
    with run.progress.task(f"{builds.target.name}: latency by length", total=None):
        return by_length(engines, _texts(run, builds), _timing(run))


def _has_lengths(builds: TargetBuilds) -> bool:
    return builds.preprocessing.port.has_open_length


def _texts(run: Run, builds: TargetBuilds) -> list[NDArray[np.generic]]:
    return [load_example(Path(sample.path), builds.preprocessing) for sample in run.split.val]


def _timing(run: Run) -> Timing:
    bench, for_p99 = run.job.recipe.bench, run.job.recipe.gates.max_p99_ms is not None
    return Timing(bench.runs, bench.warmup, bench.threads, run.job.recipe.data.seed, for_p99)


def _cold_start(run: Run, builds: TargetBuilds, candidate: Candidate, out: _Out) -> ColdStart | None:
    """A build that fails here is not opened in this process, which would hang or crash like the fresh one."""
    target, bench = builds.target, run.job.recipe.bench
    image = load_batch(run.split.val[:1], builds.preprocessing)[0]
    with run.progress.task(f"{target.name}: {candidate.precision} cold start", total=None):
        try:
            return cold_start(
                candidate.folder, candidate.compiled, target, image, threads=bench.threads, repeats=bench.cold_starts
            )
        except Interrupted as error:
            out.interrupted[candidate.precision] = str(error)
        except BackendError as error:
            out.errors[candidate.precision] = str(error)
    return None


def _speedups(
    builds: TargetBuilds, times: Mapping[str, _Times], name: Precision, seed: int
) -> dict[Precision, Interval]:
    """Speed-up over each other build that was timed."""
    others = [c.precision for c in builds.candidates if c.precision in times and c.precision != name]
    return {other: time_stats.speedup(times[other], times[name], block=BLOCK, seed=seed) for other in others}
