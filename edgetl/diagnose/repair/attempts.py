"""Compiles a set of layers in float for the target, runs it on the target's own runtime, and applies the gates.

For an absent CPU the host's runtime is used, whose predictions are nearly the same (edgetl/bench/host_answers.py); the
resulting build is emulated afterwards, like all builds.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from edgetl.backends.base import load
from edgetl.bench import time_stats
from edgetl.bench.host_answers import on_host
from edgetl.bench.latency import BLOCK, interleaved
from edgetl.bench.repair_record import Trial
from edgetl.diagnose.blame.models import Networks
from edgetl.errors import BackendError
from edgetl.fronts.batches import frames_of, load_batch, spread
from edgetl.fronts.pixels import Pixels
from edgetl.pivot import mixed
from edgetl.pivot.serialize import serialize
from edgetl.recipes.gates import Gates
from edgetl.recipes.recipe import Bench
from edgetl.recipes.run import Run
from edgetl.tasks import accuracy_gates
from edgetl.tasks.base import Answers, Task, load_task
from edgetl.tasks.running import answer_all
from edgetl.types import Compiled, Engine, Precision, Preprocessing, Target
from edgetl.types.frames import Frame
from edgetl.types.measured import Quality

_PIVOT_FILE = "pivot.onnx"


@dataclass(frozen=True)
class Judge:
    """The data that determine whether a network passes.

    val        validation images; reference  float32 (len(val), ...), the float network's answers on them
    groups     of these images, as `Task.measure` takes them
    """

    run: Run
    target: Target
    gates: Gates
    val: Pixels
    preprocessing: Preprocessing
    reference: Answers
    groups: Sequence[str] | None = None

    @property
    def bench(self) -> Bench:
        return self.run.job.recipe.bench

    @property
    def seed(self) -> int:
        return self.run.job.recipe.data.seed

    @property
    def task(self) -> Task:
        return load_task(self.run.job.recipe.task, self.run.split.heads)

    @property
    def frames(self) -> Sequence[Frame]:
        """As `Task.answer` takes them."""
        return frames_of(self.val.samples, self.preprocessing) if self.task.in_image else ()

    def measure(self, answers: Answers) -> Quality:
        """Of answers to all validation images."""
        truths = [sample.truth for sample in self.val.samples]
        classes = len(self.run.split.classes)
        return self.task.measure(answers, truths, self.reference, classes, self.seed, groups=self.groups)

    def passes(self, accuracy: Quality) -> bool:
        """By the accuracy gates; those of latency and size apply to the resulting build."""
        recalls = dict(zip(self.run.split.classes, accuracy.recalls, strict=False))
        heads = accuracy_gates.heads_of(accuracy)
        score = accuracy.score.value.value
        met = accuracy_gates.allow(self.gates, accuracy.drop_points.value, score, recalls, heads=heads)
        return met and not accuracy.not_finite


@dataclass(frozen=True)
class Tried:
    """One set, compiled in `folder`."""

    layers: tuple[str, ...]
    folder: Path
    compiled: Compiled
    accuracy: Quality
    passed: bool


class Trials:
    """The tried sets, each once, compiled below the folder `scratch`."""

    def __init__(self, networks: Networks, judge: Judge, scratch: Path) -> None:
        self._networks, self._judge, self._scratch = networks, judge, scratch
        self._tried: dict[frozenset[str], Tried | None] = {}

    @property
    def tried(self) -> tuple[Tried, ...]:
        """Those that ran, in order."""
        return tuple(tried for tried in self._tried.values() if tried is not None)

    @property
    def refused(self) -> int:
        """How many sets the target's toolchain could not compile or run."""
        return sum(tried is None for tried in self._tried.values())

    def passes(self, layers: Sequence[str]) -> bool:
        """A set that the target's toolchain refuses does not pass.

        Raises BackendError if it refuses INT8 itself, the empty set, to which the others are compared.
        """
        key = frozenset(layers)
        if key not in self._tried:
            self._tried[key] = self._try_or_none(tuple(layers))
        tried = self._tried[key]
        return tried is not None and tried.passed

    def model(self, layers: Sequence[str]) -> onnx.ModelProto:
        """The Q/DQ model with these layers in float."""
        networks = self._networks
        return mixed.float_layers(networks.quantized, layers, networks.originals) if layers else networks.quantized

    def timed(self) -> list[Trial]:
        """All of them, timed in alternation; the others are compared with the first one. Untimed on another CPU."""
        if self._absent:
            return [_trial(tried) for tried in self.tried]
        judge = self._judge
        pixels = load_batch(spread(judge.val.samples), judge.preprocessing)
        with ExitStack() as stack:
            engines = {
                str(index): self._open(stack, tried.folder, tried.compiled) for index, tried in enumerate(self.tried)
            }
            placed = [engine.placement() for engine in engines.values()]
            config = judge.bench
            times = interleaved(engines, pixels, runs=config.runs, warmup=config.warmup, seed=judge.seed)
        found = []
        for tried, placement, nanoseconds in zip(self.tried, placed, times.values(), strict=True):
            p50_ms = time_stats.quantile(nanoseconds / 1e6, 0.5, block=BLOCK)
            assert p50_ms is not None  # there are at least 300 runs
            relative = time_stats.speedup(nanoseconds, times["0"], block=BLOCK, seed=judge.seed)
            in_float = len(placement.not_integer())
            found.append(replace(_trial(tried), p50_ms=p50_ms, relative_time=relative, not_integer=in_float))
        return found

    @property
    def _absent(self) -> bool:
        target = self._judge.target
        return load(target.backend).cannot_run(target) is not None

    def _try_or_none(self, layers: tuple[str, ...]) -> Tried | None:
        try:
            return self._try(layers)
        except BackendError:
            if not layers:
                raise
            return None

    def _try(self, layers: tuple[str, ...]) -> Tried:
        judge = self._judge
        folder = self._scratch / str(len(self._tried))
        folder.mkdir()
        pivot = self._scratch / f"{folder.name}-{_PIVOT_FILE}"
        pivot.write_bytes(serialize(self.model(layers)))
        precision: Precision = "mixed" if layers else "int8"
        compiled = load(judge.target.backend).compile(pivot, judge.target, precision, folder)
        judge.val.keep()
        with ExitStack() as stack:
            engine = self._open(stack, folder, compiled)
            answers = answer_all(judge.task, {"": engine}, judge.val.batches(), judge.frames)[""]
        accuracy = judge.measure(answers)
        return Tried(layers, folder, compiled, accuracy, judge.passes(accuracy))

    def _open(self, stack: ExitStack, folder: Path, compiled: Compiled) -> Engine:
        target, threads = self._judge.target, self._judge.bench.threads
        opened = on_host(target) if self._absent else target
        return stack.enter_context(load(target.backend).open(folder, compiled, opened, threads=threads))


def _trial(tried: Tried) -> Trial:
    """A trial without the values that are measured later."""
    return Trial(
        layers=tried.layers,
        passed=tried.passed,
        score=tried.accuracy.score.value,
        drop_points=tried.accuracy.drop_points,
        p50_ms=None,
        relative_time=None,
        not_integer=None,
        size_bytes=sum((tried.folder / name).stat().st_size for name in tried.compiled.files),
    )
