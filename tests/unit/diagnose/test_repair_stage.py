"""A fault planted in one layer of the INT8 model is repaired on the real CPU runtimes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from backend_pivots import images, pivot, reference
from onnx import numpy_helper
from PIL import Image
from pivot_folder import LABELS, make_pivot
from safetensors.numpy import load_file, save_file
from small_runs import small_run

from edgetl.backends.base import load
from edgetl.bench.host_answers import on_host
from edgetl.bench.machine import describe
from edgetl.bench.repair_record import REPAIR_FILE, Repair, read_repair
from edgetl.bench.result import BuildBench, HostCheck, TargetBench
from edgetl.bundle.compile import compile_pivot
from edgetl.diagnose.repair import attempts
from edgetl.diagnose.repair.repair import repair_int8
from edgetl.errors import BackendError, EdgetlError
from edgetl.files.digest import file_digest
from edgetl.pivot.mixed import layers
from edgetl.pivot.pivot import read_pivot, write_pivot
from edgetl.recipes.gates import Gates
from edgetl.recipes.targets import load_target
from edgetl.stages.repair import missed_by_int8
from edgetl.tasks.classification.accuracy import compare
from edgetl.types import Compiled, Precision, Sample, Split, Target

pytestmark = pytest.mark.stage

COUNT = 40
GATES = Gates(max_drop_points=15.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pivot with the float network's logits on images whose labels are its own answers."""
    place = make_pivot(tmp_path / "pivot")
    vectors = images(COUNT, seed=5)
    raw = reference(pivot("float32"), vectors)
    logits = raw - raw.mean(axis=0)  # as they are, the first class wins on every image
    for path in place.glob("*.onnx"):
        _shift_bias(path, -raw.mean(axis=0))
    (tmp_path / "val").mkdir()
    for index, picture in enumerate(vectors):
        Image.fromarray(picture).save(tmp_path / "val" / f"{index}.png")
    save_file({"logits": logits}, place / "reference.safetensors")
    _seal(place)
    return place


def val_of(folder: Path) -> tuple[Sample, ...]:
    logits = load_file(folder / "reference.safetensors")["logits"]
    return tuple(
        Sample(str(folder.parent / "val" / f"{index}.png"), int(answer), f"{index:064}")
        for index, answer in enumerate(logits.argmax(1))
    )


def plant(folder: Path, position: int) -> str:
    """Reverse the order of one layer's int8 weights; returns its name."""
    path = next(folder.glob("int8-*.onnx"))
    model = onnx.load_model(path)
    layer = layers(model)[position]
    made_by = {name: node for node in model.graph.node for name in node.output}
    compute = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")][position]
    weights = made_by[compute.input[1]].input[0]
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == weights)
    values = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(values.reshape(-1)[::-1].reshape(values.shape).copy(), weights))
    onnx.save_model(model, path)
    _seal(folder)
    return layer.name


def _shift_bias(path: Path, by: np.ndarray) -> None:
    model = onnx.load_model(path)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "gemm.bias")
    values = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array((values + by).astype(np.float32), tensor.name))
    onnx.save_model(model, path)


def _seal(folder: Path) -> None:
    import json

    record = json.loads((folder / "pivot.json").read_text())
    for model in record["models"]:
        model["sha256"] = file_digest(folder / model["file"])
    from edgetl.pivot.pivot import Pivot

    write_pivot(folder, Pivot.model_validate(record))


def repaired(
    folder: Path, target: str, tmp_path: Path, gates: Gates = GATES, val: tuple[Sample, ...] = ()
) -> tuple[Repair, Path]:
    val = val or val_of(folder)
    split = Split(LABELS, val[:16], val, (), "squash", "", "")
    (out := tmp_path / f"out-{target}").mkdir()
    repair_int8(small_run(split, folder.parent), load_target(target), folder, gates, out)
    return read_repair(out / REPAIR_FILE), out / "pivot"


@pytest.mark.parametrize("target", ["x86-cpu", "intel-cpu", "arm64-cpu"])
@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_the_layer_at_fault_is_computed_in_float_and_the_build_passes(
    target: str, position: int, folder: Path, tmp_path: Path
) -> None:
    name = plant(folder, position)
    found, made = repaired(folder, target, tmp_path)
    assert not found.trials[0].passed
    assert found.trials[0].layers == ()
    assert found.layers is not None
    assert name in found.layers
    assert "layers in float" in found.sentence
    taken = next(trial for trial in found.trials if trial.layers == found.layers)
    assert taken.passed
    assert taken.drop_points.value <= 15.0
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    manifest = compile_pivot(made, load_target(target), "mixed", "repaired", bundle)
    assert manifest.compiled.precision == "mixed"
    with load(manifest.target.backend).open(bundle, manifest.compiled, on_host(manifest.target), threads=1) as engine:
        logits = np.asarray(engine.infer({"image": images(COUNT, seed=5)})["logits"], np.float32)
    truth = load_file(folder / "reference.safetensors")["logits"]
    labels = np.array([sample.label for sample in val_of(folder)])
    assert compare(logits, labels, truth).top1.value == taken.score.value


def test_of_an_absent_cpu_no_time_is_told(folder: Path, tmp_path: Path) -> None:
    plant(folder, 1)
    found, _ = repaired(folder, "arm64-cpu", tmp_path)
    assert all((trial.p50_ms, trial.relative_time, trial.not_integer) == (None, None, None) for trial in found.trials)
    assert "both by this CPU's predictions" in found.sentence
    assert " time" not in found.sentence
    chosen = [found.trials[index] for index in found.front]
    assert [len(trial.layers) for trial in chosen] == sorted(len(trial.layers) for trial in chosen)
    assert [trial.score.value for trial in chosen] == sorted(trial.score.value for trial in chosen)


def test_a_gate_that_nothing_meets_leaves_no_model_and_says_so(folder: Path, tmp_path: Path) -> None:
    plant(folder, 1)
    perfect = Gates(max_drop_points=None, min_top1=1.0)
    found, made = repaired(folder, "x86-cpu", tmp_path, perfect, _half_wrong(folder))
    assert found.layers is None
    assert "no set of layers in float passes" in found.sentence
    assert not made.exists()


def _half_wrong(folder: Path) -> tuple[Sample, ...]:
    val = val_of(folder)
    return tuple(replace(sample, truth=(sample.label + index % 2) % 3) for index, sample in enumerate(val))


def test_the_mixed_pivot_has_golden_logits_and_no_claim_of_parity(folder: Path, tmp_path: Path) -> None:
    plant(folder, 2)
    _, made = repaired(folder, "x86-cpu", tmp_path)
    (model,) = read_pivot(made).models
    assert (model.precision, model.parity) == ("mixed", None)
    golden = load_file(made / "golden" / "logits.safetensors")
    assert golden["mixed"].shape == golden["float32"].shape


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / REPAIR_FILE).write_text("{}")
    with pytest.raises(EdgetlError, match=r"repair\.json: not a repair"):
        read_repair(tmp_path / REPAIR_FILE)


def test_only_an_int8_build_that_missed_an_accuracy_gate_here_is_repaired() -> None:
    truth = np.eye(2, dtype=np.float32)[np.arange(100) % 2]
    labels = np.arange(100) % 2
    wrong = truth.copy()
    wrong[:5] = wrong[:5, ::-1]
    bad = BuildBench("int8", 10, accuracy=compare(wrong, labels, truth))
    good = BuildBench("int8", 10, accuracy=compare(truth, labels, truth))

    def bench(build: BuildBench, *, measured: bool = True, backend: str = "onnxruntime") -> TargetBench:
        return TargetBench("here", backend, "", measured, False, "", describe(), tuple(range(100)), (build,))

    gates = Gates(max_drop_points=2.0)
    assert missed_by_int8(bench(bad), gates)
    assert not missed_by_int8(bench(good), gates)
    assert not missed_by_int8(bench(bad, measured=False), gates)
    alike = HostCheck(64, 64, 0.1, 0, most_top1=0.95, least_drop_points=5.0)
    emulated = replace(bench(replace(bad, host=alike), measured=False), emulated=True)
    assert missed_by_int8(emulated, gates)
    unsure = replace(alike, undecided=4, most_top1=0.99, least_drop_points=1.0)
    assert not missed_by_int8(replace(emulated, builds=(replace(bad, host=unsure),)), gates)
    assert not missed_by_int8(bench(bad, backend="null"), gates)
    assert not missed_by_int8(bench(bad), Gates(max_drop_points=10))
    assert not missed_by_int8(bench(good), Gates(max_drop_points=1, max_size_bytes=1))


class RefusesMixed:
    """ONNX Runtime, that refuses the first `count` networks with layers in float."""

    def __init__(self, count: int) -> None:
        self._real, self._left = load("onnxruntime"), count
        self.open, self.cannot_run = self._real.open, self._real.cannot_run

    def compile(self, model: Path, target: Target, precision: Precision, out: Path) -> Compiled:
        if precision == "mixed" and self._left > 0:
            self._left -= 1
            raise BackendError("no kernel for this mix")
        return self._real.compile(model, target, precision, out)


def test_a_set_that_the_toolchain_refuses_does_not_pass_and_the_others_go_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(folder, 2)
    backend = RefusesMixed(1)
    monkeypatch.setattr(attempts, "load", lambda name: backend)
    found, made = repaired(folder, "x86-cpu", tmp_path)
    assert found.layers is not None
    assert made.is_dir()
    assert len(found.trials) == found.tries
    assert found.sentence.endswith(f"1 of {found.tries} sets could not be compiled or run and count as not passed.")


def test_where_every_set_is_refused_the_record_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(folder, 2)
    backend = RefusesMixed(100)
    monkeypatch.setattr(attempts, "load", lambda name: backend)
    found, made = repaired(folder, "x86-cpu", tmp_path)
    assert found.layers is None
    assert not made.exists()
    assert [trial.layers for trial in found.trials] == [()]
    assert "no set of layers in float could be evaluated" in found.sentence
