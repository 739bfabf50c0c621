from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file
from small_runs import small_run

from edgetl.backends.fresh_process import Interrupted
from edgetl.bench import absent_cpu as emulated
from edgetl.bench import measure_builds, qemu, time_stats
from edgetl.bench.builds import Candidate, TargetBuilds
from edgetl.bench.gates import judge
from edgetl.bench.latency import BLOCK
from edgetl.bench.result import BENCH_FILE, LATENCY_FILE, PREDICTIONS_FILE, HostCheck, TargetBench, read_bench
from edgetl.errors import BackendError
from edgetl.fronts.batches import batches
from edgetl.recipes.gates import Gates
from edgetl.types import (
    ColdStart,
    Compiled,
    Engine,
    ImagePreprocessing,
    Missing,
    Operator,
    Placement,
    Precision,
    Sample,
    Scheme,
    Split,
    Target,
)

CLASSES = 3
PREPROCESSING = ImagePreprocessing(8, 8, "squash", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
SCHEME = Scheme(activation_dtype="uint8", activation_symmetric=False)
TARGET = Target("here", "", "fake", "any", "none", ("int8", "float32"), SCHEME)
ARM = replace(TARGET, name="there", backend="onnxruntime", machine="aarch64")


class Color:
    """Answers the strongest color of the image; raises from the call `fails_at` on."""

    def __init__(self, precision: Precision, fails_at: int | None) -> None:
        self.precision = precision
        self.fails_at = fails_at
        self.calls = 0

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        self.calls += 1
        if self.fails_at is not None and self.calls >= self.fails_at:
            raise BackendError("no kernel for this")
        return {"logits": inputs["image"].mean(axis=(1, 2)).astype(np.float32)}

    def placement(self) -> Placement:
        precisions = ["int8", "float32"] if self.precision == "int8" else ["float32"]
        return Placement(tuple(Operator(f"conv{i}", "convolution", "Some GPU 9", p) for i, p in enumerate(precisions)))


@dataclass
class FakeBackend:
    """Runs anything, unless told otherwise."""

    name: str = "fake"
    obstacle: Missing | None = None
    lacks: tuple[str, ...] = ()
    unopenable: tuple[str, ...] = ()
    fails_at: Mapping[str, int] = field(default_factory=dict)
    opened: list[tuple[str, int]] = field(default_factory=list)

    def version(self) -> str:
        return "9"

    def missing(self) -> Missing | None:
        return None

    def cannot_run(self, target: Target, precision: Precision | None = None) -> Missing | None:
        return Missing("this CPU has no such instructions", "use another") if precision in self.lacks else self.obstacle

    @contextmanager
    def open(self, folder: Path, compiled: Compiled, target: Target, *, threads: int) -> Iterator[Engine]:
        if compiled.precision in self.unopenable:
            raise BackendError("cannot open this")
        self.opened.append((compiled.precision, threads))
        yield Color(compiled.precision, self.fails_at.get(compiled.precision))


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """Six images of one strong color each."""
    samples: list[Sample] = []
    for index in range(6):
        pixels = np.zeros((10, 10, 3), np.uint8)
        pixels[..., index % CLASSES] = 200
        path = tmp_path / f"{index}.png"
        Image.fromarray(pixels).save(path)
        samples.append(Sample(str(path), index % CLASSES, ""))
    return Split(("red", "green", "blue"), (), tuple(samples), (), "squash", "", "")


@pytest.fixture
def builds(tmp_path: Path) -> TargetBuilds:
    """Two builds, and a reference that is wrong on the last image."""
    reference = np.eye(CLASSES, dtype=np.float32)[[0, 1, 2, 0, 1, 1]]
    candidates: list[Candidate] = []
    for precision in TARGET.precisions:
        folder = tmp_path / precision
        folder.mkdir()
        (folder / "model.bin").write_bytes(b"x" * (100 if precision == "int8" else 400))
        candidates.append(Candidate(folder, Compiled("fake", "9", precision, "model.bin", ("model.bin",))))
    return TargetBuilds(TARGET, tuple(candidates), PREPROCESSING, reference)


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, split: Split) -> Any:
    """Measure on a given backend, without fresh processes, and read the result."""
    monkeypatch.setattr(measure_builds, "cold_start", lambda *args, **kwargs: ColdStart(12.0, 100, 200, 3))
    monkeypatch.setattr(qemu, "missing", lambda: Missing("no qemu", "install it"))
    out = tmp_path / "out"
    out.mkdir()

    def measure_on(backend: FakeBackend, builds: TargetBuilds, **settings: Any) -> TargetBench:
        monkeypatch.setattr(measure_builds, "load", lambda name: backend)
        bench = {"runs": 300, "warmup": 2, "threads": 2, "emulated_images": 3, **settings}
        measure_builds.measure_builds(small_run(split, tmp_path, bench=bench), builds, out)
        return read_bench(out / BENCH_FILE)

    return measure_on


def test_a_recipe_says_in_how_many_fresh_processes_a_build_is_opened(
    builds: TargetBuilds, measure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def cold_start(*_: Any, repeats: int, **__: Any) -> ColdStart:
        asked.append(repeats)
        return ColdStart(12.0, 100, 200, repeats)

    monkeypatch.setattr(measure_builds, "cold_start", cold_start)
    measure(FakeBackend(), builds)
    measure(FakeBackend(), builds, cold_starts=1)
    assert asked == [3, 3, 1, 1]


def test_every_build_is_measured_on_all_images(builds: TargetBuilds, measure: Any) -> None:
    backend = FakeBackend()
    found = measure(backend, builds)
    assert (found.measured, found.emulated, found.reason) == (True, False, "")
    assert found.images == tuple(range(6))
    assert backend.opened == [("int8", 2), ("float32", 2)]
    for build in found.builds:
        assert build.accuracy.top1.value == 1.0
        assert build.accuracy.drop_points.value == pytest.approx(-100 / 6)
        assert build.latency.runs == 300
        assert build.latency.threads == 2
        assert 0 < build.latency.p50_ms.low <= build.latency.p99_ms.value
        assert build.cold_start.cold_start_ms == 12.0


def test_only_the_other_builds_have_a_speed_up_over_float32(builds: TargetBuilds, measure: Any) -> None:
    found = measure(FakeBackend(), builds)
    assert found.build("float32").speedup is None
    assert found.build("int8").speedup.low > 0


def test_builds_are_compared_pair_by_pair_in_the_rounds_they_share(
    builds: TargetBuilds, measure: Any, tmp_path: Path
) -> None:
    half = replace(builds.candidates[0], compiled=replace(builds.candidates[0].compiled, precision="bfloat16"))
    found = measure(FakeBackend(), replace(builds, candidates=(*builds.candidates, half)))
    compared = {build.precision: set(build.speedup_over) for build in found.builds}
    assert compared == {"int8": {"bfloat16"}, "bfloat16": {"int8"}, "float32": {"int8", "bfloat16"}}
    times = load_file(tmp_path / "out" / LATENCY_FILE)
    expected = time_stats.speedup(times["bfloat16"], times["int8"], block=BLOCK, seed=0)
    assert found.build("int8").speedup_over["bfloat16"] == expected
    assert found.build("int8").latency.p50_ms == time_stats.quantile(times["int8"] / 1e6, 0.5, block=BLOCK)


def test_sizes_and_placements_are_recorded(builds: TargetBuilds, measure: Any) -> None:
    found = measure(FakeBackend(), builds)
    assert [build.size_bytes for build in found.builds] == [100, 400]
    assert found.build("int8").placement == "float32 1, int8 1"
    assert found.build("int8").not_integer == ("conv1",)
    assert found.build("float32").not_integer == ()


def test_a_layer_that_was_left_in_float_on_purpose_is_not_missed(builds: TargetBuilds, measure: Any) -> None:
    found = measure(FakeBackend(), replace(builds, in_float=frozenset({"conv1"})))
    assert found.build("int8").placement == "float32 1, int8 1"
    assert found.build("int8").not_integer == ()


def test_logits_and_times_are_stored_per_build(builds: TargetBuilds, measure: Any, tmp_path: Path) -> None:
    measure(FakeBackend(), builds)
    logits = load_file(tmp_path / "out" / PREDICTIONS_FILE)
    times = load_file(tmp_path / "out" / LATENCY_FILE)
    assert logits["int8"].shape == (6, CLASSES)
    assert logits["int8"].dtype == np.float32
    assert (times["float32"].shape, times["float32"].dtype) == ((300,), np.int64)


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param(FakeBackend(unopenable=("int8",)), id="when it is opened"),
        pytest.param(FakeBackend(fails_at={"int8": 1}), id="on the first batch"),
        pytest.param(FakeBackend(fails_at={"int8": 3}), id="on the third batch"),
        pytest.param(FakeBackend(fails_at={"int8": 8}), id="while it warms up"),
        pytest.param(FakeBackend(fails_at={"int8": 150}), id="while it is timed"),
    ],
)
def test_a_build_that_does_not_run_is_recorded_and_the_other_goes_on(
    builds: TargetBuilds, measure: Any, backend: FakeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure_builds, "batches", lambda samples, p: batches(samples, p, 1))
    found = measure(backend, builds)
    assert found.build("int8").error in ("cannot open this", "no kernel for this")
    assert (found.build("int8").accuracy, found.build("int8").latency) == (None, None)
    assert found.build("float32").error is None
    assert found.build("float32").accuracy.top1.value == 1.0
    assert found.build("float32").latency.runs == 300
    assert found.finished
    for name in (PREDICTIONS_FILE, LATENCY_FILE):
        assert list(load_file(tmp_path / "out" / name)) == ["float32"]


def test_a_build_that_this_cpu_lacks_instructions_for_is_not_measured_and_has_no_error(
    builds: TargetBuilds, measure: Any
) -> None:
    found = measure(FakeBackend(lacks=("int8",)), builds)
    int8 = found.build("int8")
    assert (int8.lacking, int8.error) == ("this CPU has no such instructions; use another", None)
    assert (found.finished, found.build("float32").accuracy.top1.value) == (True, 1.0)


def test_where_no_build_runs_all_are_recorded(builds: TargetBuilds, measure: Any) -> None:
    found = measure(FakeBackend(fails_at={"int8": 20, "float32": 40}), builds)
    assert [build.error for build in found.builds] == ["no kernel for this"] * 2


def test_a_cold_start_that_is_cut_short_says_nothing_of_the_build(
    builds: TargetBuilds, measure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cold_start(folder: Path, *args: Any, **kwargs: Any) -> ColdStart:
        if folder.name == "int8":
            raise Interrupted("fresh process did not finish within 300 s")
        return ColdStart(12.0, 100, 200, 3)

    monkeypatch.setattr(measure_builds, "cold_start", cold_start)
    backend = FakeBackend()
    found = measure(backend, builds)
    assert found.build("int8").error is None
    assert found.build("int8").unmeasured == "fresh process did not finish within 300 s"
    assert not found.finished
    assert [name for name, _ in backend.opened] == ["float32"], "what hung there would hang here"
    assert found.build("float32").accuracy.top1.value == 1.0


def test_the_gpu_is_named_where_a_target_runs_on_it(builds: TargetBuilds, measure: Any) -> None:
    on_gpu = replace(builds, target=replace(TARGET, accelerator="cuda"))
    assert measure(FakeBackend(), on_gpu).machine.gpu == "Some GPU 9"
    assert measure(FakeBackend(), builds).machine.gpu is None


def test_a_latency_of_another_cpu_than_the_targets_is_marked(builds: TargetBuilds, measure: Any) -> None:
    assert measure(FakeBackend(), builds).other_cpu == ""
    found = measure(FakeBackend(), replace(builds, target=replace(TARGET, cpu_part="0xfff")))
    assert found.other_cpu.startswith("here has cores of part 0xfff; those of ")
    assert found.build("int8").accuracy is not None


def test_absent_hardware_gives_a_reason_and_no_number(builds: TargetBuilds, measure: Any, tmp_path: Path) -> None:
    found = measure(FakeBackend(obstacle=Missing("no GPU", "buy one")), builds)
    assert (found.measured, found.emulated, found.reason) == (False, False, "no GPU; buy one")
    assert all(build.accuracy is None and build.latency is None for build in found.builds)
    assert [build.size_bytes for build in found.builds] == [100, 400]
    assert load_file(tmp_path / "out" / LATENCY_FILE) == {}


def test_an_unfinished_build_is_not_measured(builds: TargetBuilds, measure: Any) -> None:
    candidates = tuple(replace(c, compiled=replace(c.compiled, finished=False)) for c in builds.candidates)
    found = measure(FakeBackend(), replace(builds, candidates=candidates))
    assert not found.measured
    assert "compile --finish" in found.reason


def test_an_arm_target_is_emulated_on_few_images_of_every_class(
    builds: TargetBuilds, measure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, tuple[int, ...]]] = []

    def outputs(
        model: Path, images: NDArray[np.uint8], names: tuple[str, ...], *, threads: int
    ) -> dict[str, NDArray[np.float32]]:
        seen.append((model.parent.name, images.shape))
        return dict.fromkeys(names, np.asarray(images.mean(axis=(1, 2)), dtype=np.float32))

    monkeypatch.setattr(qemu, "missing", lambda: None)
    monkeypatch.setattr(qemu, "version", lambda: "1.99")
    monkeypatch.setattr(qemu, "outputs", outputs)
    found = measure(FakeBackend(obstacle=Missing("another CPU", "go there")), replace(builds, target=ARM))
    assert seen == [("int8", (3, 8, 8, 3)), ("float32", (3, 8, 8, 3))]
    assert (found.measured, found.emulated) == (False, True)
    assert found.images == (0, 1, 2), "predictions are those of emulation"
    assert found.build("int8").accuracy.images == 6, "the host answers the others"
    int8 = found.build("int8")
    assert int8.host == HostCheck(
        *(3, 3, 0.0, 0),
        most_top1=1.0,
        least_drop_points=int8.accuracy.drop_points.value,
        most_recall=(1.0, 1.0, 1.0),
        least_recall_drop_points=tuple(each.drop_points.value for each in int8.accuracy.recalls),
    )
    assert found.build("int8").latency is None
    assert found.backend_version == "1.99", "of the runtime that answered"


EMULATED = FakeBackend(obstacle=Missing("another CPU", "go there"))


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Emulation that answers by the precision of the build: wrong, with an error, or, for others, right."""
    asked: list[tuple[str, int]] = []
    faults: dict[str, Exception | None] = {}

    def outputs(
        model: Path, images: NDArray[np.uint8], names: tuple[str, ...], *, threads: int
    ) -> dict[str, NDArray[np.float32]]:
        name = model.parent.name
        asked.append((name, len(images)))
        fault = faults.get(name)
        if fault is not None:
            raise fault
        answers = np.asarray(images.mean(axis=(1, 2)), dtype=np.float32)
        return dict.fromkeys(names, -answers if name in faults else answers)

    monkeypatch.setattr(qemu, "missing", lambda: None)
    monkeypatch.setattr(qemu, "outputs", outputs)
    monkeypatch.setattr(emulated, "_FLOAT_IMAGES", 2)
    return asked, faults


def test_a_float_build_is_emulated_on_fewer_images_where_int8_ships(
    builds: TargetBuilds, measure: Any, emulator: Any
) -> None:
    asked, _ = emulator
    found = measure(EMULATED, replace(builds, target=ARM))
    assert asked == [("int8", 3), ("float32", 2)]
    assert judge(found, Gates()).shipped == "int8"


def test_a_second_target_with_the_same_models_is_not_emulated_again_and_a_changed_model_is(
    builds: TargetBuilds, measure: Any, emulator: Any
) -> None:
    asked, _ = emulator
    first = measure(EMULATED, replace(builds, target=ARM))
    asked.clear()
    EMULATED.opened.clear()
    second = measure(EMULATED, replace(builds, target=replace(ARM, name="elsewhere")))
    assert (asked, EMULATED.opened) == ([], [])
    assert (second.target, second.images, second.builds) == ("elsewhere", first.images, first.builds)
    (builds.candidates[0].folder / "model.bin").write_bytes(b"another model")
    measure(EMULATED, replace(builds, target=ARM))
    assert asked == [("int8", 3)]
    assert [name for name, _ in EMULATED.opened] == ["int8"], "nor does this CPU run it twice"


def test_a_float_build_that_ships_is_emulated_on_all_images(builds: TargetBuilds, measure: Any, emulator: Any) -> None:
    asked, faults = emulator
    faults["int8"] = None
    found = measure(EMULATED, replace(builds, target=ARM))
    assert asked == [("int8", 3), ("float32", 2), ("float32", 3)]
    assert judge(found, Gates()).shipped == "float32"
    assert found.build("float32").host.emulated_images == 3
    int8 = found.build("int8")
    assert (int8.accuracy.images, int8.host) == (3, None), "the host does not speak for a CPU that answers otherwise"


def test_an_emulator_that_fails_says_nothing_of_the_build(builds: TargetBuilds, measure: Any, emulator: Any) -> None:
    _, faults = emulator
    faults["int8"] = qemu.EmulationError("emulation did not finish within 3600 s")
    found = measure(EMULATED, replace(builds, target=ARM))
    assert (found.build("int8").error, found.build("int8").accuracy) == (None, None)
    assert not found.finished
    decision = judge(found, Gates())
    assert (decision.shipped, decision.verdict) == ("int8", "not measured")
    assert "emulation did not finish within 3600 s; the next build tries again" in decision.reason
    assert found.build("float32").host.emulated_images == 2


def test_a_file_that_the_host_does_not_take_is_judged_by_emulation_alone(
    builds: TargetBuilds, measure: Any, emulator: Any
) -> None:
    found = measure(replace(EMULATED, unopenable=("int8",)), replace(builds, target=ARM))
    assert (found.build("int8").accuracy.images, found.build("int8").host) == (3, None)
    assert found.build("float32").accuracy.images == 6


def test_a_model_that_the_emulated_runtime_does_not_take_fails(
    builds: TargetBuilds, measure: Any, emulator: Any
) -> None:
    _, faults = emulator
    faults["int8"] = BackendError("onnxruntime for ARM rejects it")
    found = measure(EMULATED, replace(builds, target=ARM))
    assert found.build("int8").error == "onnxruntime for ARM rejects it"
    assert found.finished
    assert judge(found, Gates()).shipped == "float32"


def test_an_arm_target_without_an_emulator_says_what_is_missing(builds: TargetBuilds, measure: Any) -> None:
    found = measure(FakeBackend(obstacle=Missing("another CPU", "go there")), replace(builds, target=ARM))
    assert found.reason == "another CPU; go there; not emulated: no qemu (edgetl doctor says how to)"
    assert not found.emulated


def test_emulation_can_be_switched_off(builds: TargetBuilds, measure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "missing", lambda: None)
    backend = FakeBackend(obstacle=Missing("another CPU", "go there"))
    assert "turned off" in measure(backend, replace(builds, target=ARM), emulate=False).reason
