"""The bench of a target whose CPU is absent: accuracy under emulation and, bounded by it, on the host; no latency."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.bench import qemu
from edgetl.bench.builds import Candidate, TargetBuilds
from edgetl.bench.gates import judge
from edgetl.bench.host_answers import Answered, on_all_images, on_host
from edgetl.bench.machine import describe
from edgetl.bench.result import BuildBench, TargetBench
from edgetl.errors import BackendError
from edgetl.files.digest import file_digest
from edgetl.fronts.base import load_front
from edgetl.fronts.batches import batches, frames_of, load_example
from edgetl.recipes.run import Run
from edgetl.store.cache import Cache
from edgetl.tasks.base import Answers, Outputs
from edgetl.tasks.classification.accuracy import stratified
from edgetl.tasks.running import answer_all
from edgetl.types import PRECISIONS, Backend, Missing, Sample, described

_VERSION = 1  # of what is cached
_FLOAT_IMAGES = 8  # float is slowest under emulation, and its arithmetic hardly differs between CPUs


def emulated(
    backend: Backend, run: Run, builds: TargetBuilds, obstacle: Missing
) -> tuple[TargetBench, dict[str, Answers]]:
    """The bench of a target that this machine cannot run, and the answers of the emulated builds.

    A float build is emulated on few images, the build that ships on all that the recipe asks for.
    """
    missing = _missing(run, builds)
    reason = f"{obstacle.reason}; {obstacle.remedy}"
    if missing is not None and missing.reason:
        reason += f"; not emulated: {missing.reason} (edgetl doctor says how to)"
    bench = TargetBench(
        target=builds.target.name,
        backend=backend.name,
        backend_version=backend.version(),
        measured=False,
        emulated=False,
        reason=reason,
        machine=describe(),
        images=(),
        builds=tuple(BuildBench(precision=c.precision, size_bytes=c.size_bytes()) for c in builds.candidates),
        labels=run.split.classes,
    )
    if missing is not None:
        return bench, {}
    return _Emulation(backend, run, builds).of(bench)


def _missing(run: Run, builds: TargetBuilds) -> Missing | None:
    """None if accuracy can be checked under emulation; an empty reason if emulation does not apply."""
    if not qemu.takes(builds.target):
        return Missing("", "")
    if not run.job.recipe.bench.emulate:
        return Missing("turned off in the recipe", "bench.emulate: true")
    return qemu.missing()


class _Emulation:
    """The emulated images and their answers.

    Answers are cached by the model's bytes: targets of the same CPU kind often get the same model.
    """

    def __init__(self, backend: Backend, run: Run, builds: TargetBuilds) -> None:
        self._backend, self._run, self._builds, self._recipe = backend, run, builds, run.job.recipe
        self._task, val = builds.task, run.split.val
        self._picked = _picked(val, self._recipe.bench.emulated_images)
        chosen = [val[index] for index in self._picked]
        self._images = [load_example(Path(sample.path), builds.preprocessing) for sample in chosen]
        self._frames = frames_of(chosen, builds.preprocessing) if self._task.in_image else ()
        self._logits: dict[str, Answers] = {}
        self._host_logits: dict[str, Answers | None] = {}
        here = describe()
        self._threads = max(1, int(here.usable_cores or 1))  # nothing is timed: use all threads
        outputs = [_VERSION, self._task.name, *self._task.outputs]
        self._cache = Cache(run.store.cache / "absent-cpu", run.progress.note, {"outputs": outputs})
        self._here = [here.architecture, here.cpu, *here.instruction_sets, backend.version(), self._threads]

    def of(self, bench: TargetBench) -> tuple[TargetBench, dict[str, Answers]]:
        found = {candidate.precision: self._build(candidate) for candidate in self._builds.candidates}

        def whole() -> TargetBench:
            return replace(
                bench,
                backend_version=qemu.version(),
                emulated=bool(self._logits),
                images=tuple(self._picked.tolist()),
                builds=tuple(found.values()),
            )

        while (short := self._ships_on_few(whole())) is not None:
            found[short.precision] = self._build(short, every=True)
        return whole(), self._logits

    def _ships_on_few(self, bench: TargetBench) -> Candidate | None:
        """The build that would ship, if it was emulated on fewer images than possible."""
        shipped = judge(bench, self._recipe.gates, self._recipe.choose).shipped
        build = bench.build(shipped) if shipped else None
        if build is None or build.accuracy is None or len(self._logits[build.precision]) == len(self._picked):
            return None
        return next(candidate for candidate in self._builds.candidates if candidate.precision == build.precision)

    def _build(self, candidate: Candidate, *, every: bool = False) -> BuildBench:
        name = candidate.precision
        build = BuildBench(precision=name, size_bytes=candidate.size_bytes())
        count = len(self._picked) if every or PRECISIONS[name].integers else min(_FLOAT_IMAGES, len(self._picked))
        self._logits.pop(name, None)
        try:
            logits = self._logits[name] = self._emulate(candidate, count)
        except qemu.EmulationError as error:
            return replace(build, unmeasured=str(error))
        except BackendError as error:
            return replace(build, error=str(error))
        picked, seed, reference = self._picked[:count], self._recipe.data.seed, self._builds.reference
        # what another CPU would find is bounded for classes only
        one_class = not self._task.in_image and not self._run.split.heads
        if one_class and (host := self._host(candidate)) is not None:
            answered = Answered(host, logits, picked)
            labels = np.array([sample.label for sample in self._run.split.val], dtype=np.int64)
            if (found := on_all_images(answered, labels, reference, seed)) is not None:
                return replace(build, accuracy=found[0], host=found[1])
        truths = [self._run.split.val[index].truth for index in picked]
        classes = len(self._run.split.classes)
        known = self._builds.groups
        groups = None if known is None else [known[index] for index in picked]
        accuracy = self._task.measure(
            logits, truths, reference[picked], classes, seed, groups=groups, settings=candidate.settings
        )
        return replace(build, accuracy=accuracy)

    def _host(self, candidate: Candidate) -> Answers | None:
        """Logits of the build's file on this CPU, for all validation images; None if this CPU cannot run it."""
        name = candidate.precision
        if name in self._host_logits:
            return self._host_logits[name]
        val, target, p = self._run.split.val, self._builds.target, self._builds.preprocessing

        def answers() -> Answers:
            with (
                self._run.progress.task(f"{target.name}: {name} on this CPU", total=len(val)) as advance,
                self._backend.open(
                    candidate.folder, candidate.compiled, on_host(target), threads=self._threads
                ) as engine,
            ):
                return answer_all(self._task, {"": engine}, batches(val, p), (), advance)[""]

        depends_on = {"here": self._here, "examples": [described(p), [sample.sha256 for sample in val]]}
        try:
            found = self._once(candidate, depends_on, answers)
        except BackendError:
            found = None
        self._host_logits[name] = found
        return found

    def _emulate(self, candidate: Candidate, count: int) -> Answers:
        words = f"{count} {load_front(self._run.job.recipe.front).noun}s"
        label = f"{self._builds.target.name}: {candidate.precision} on {words} under emulation"
        images, frames = self._images[:count], self._frames[:count]

        def answers() -> Answers:
            with self._run.progress.task(label, total=None):
                return self._task.answer(self._outputs(candidate.folder / candidate.compiled.model, images), frames)

        pixels = [[str(image.dtype), image.shape, hashlib.sha256(image.tobytes()).hexdigest()] for image in images]
        examples = [pixels, [asdict(frame) for frame in frames]]
        return self._once(candidate, {"emulator": qemu.identity(), "examples": examples}, answers)

    def _once(self, candidate: Candidate, depends_on: dict[str, Any], compute: Callable[[], Answers]) -> Answers:
        files = [file_digest(candidate.folder / name) for name in candidate.compiled.files]
        return self._cache.array({"files": files, **depends_on}, compute)

    def _outputs(self, model: Path, images: Sequence[NDArray[Any]]) -> Outputs:
        """Of examples of each shape together, in the order of the examples."""
        places: dict[tuple[int, ...], list[int]] = {}
        for place, image in enumerate(images):
            places.setdefault(image.shape, []).append(place)
        parts = [
            qemu.outputs(model, np.stack([images[i] for i in chosen]), self._task.outputs, threads=self._threads)
            for chosen in places.values()
        ]
        order = np.argsort(np.concatenate([np.array(chosen) for chosen in places.values()]))
        return {name: np.concatenate([part[name] for part in parts])[order] for name in self._task.outputs}


def _picked(val: Sequence[Sample], count: int) -> NDArray[np.int64]:
    """Indices of the images that are emulated: of every class in turn, or evenly spread."""
    if all(isinstance(sample.truth, int) for sample in val):
        return stratified(np.array([sample.label for sample in val], dtype=np.int64), count)
    found: NDArray[np.int64] = np.unique(np.linspace(0, len(val) - 1, min(count, len(val))).round().astype(np.int64))
    return found
