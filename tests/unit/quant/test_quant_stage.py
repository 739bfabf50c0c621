"""The quantize stage with a cache of ranges, with given ranges, with bias correction."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from small_runs import small_run
from tiny_calibration import pictures

from edgetl.backbones.load import construct
from edgetl.backbones.spec import read_spec, write_spec
from edgetl.errors import UsageError
from edgetl.fronts.batches import load_batch
from edgetl.pivot.export import export_pivot
from edgetl.pivot.pivot import read_pivot
from edgetl.quant import calibration
from edgetl.quant.quantize import quantize_network
from edgetl.quant.record import QuantizeRecord, read_quantize
from edgetl.recipes.gates import Gates
from edgetl.recipes.recipe import Quantize
from edgetl.recipes.run import Run
from edgetl.recipes.targets import scheme_id
from edgetl.types import CalibrationProfile, ImagePreprocessing, NetworkSpec, Scheme, Silent, Split

pytestmark = pytest.mark.stage

SCHEME = Scheme("uint8", activation_symmetric=False)
PROFILE = CalibrationProfile("default", "", 2000, "entropy", views=1)
PTQ = Quantize(method="ptq", bias_correction=False)


@dataclass(frozen=True)
class Adapted:
    folder: Path
    split: Split

    def run(self, base: Path, config: Quantize = PTQ, profile: CalibrationProfile = PROFILE, **given: Any) -> Run:
        data = {"train": ".", "augment": "light"}
        return small_run(self.split, base, profile=profile, quantize=config, data=data, **given)

    def quantize(
        self,
        out: Path,
        config: Quantize = PTQ,
        *,
        gates: Gates | None = None,
        ranges: Path | None = None,
        **given: Any,
    ) -> QuantizeRecord:
        out.mkdir(parents=True)
        run = self.run(out.parent, config, **given)
        quantize_network(run, self.folder, SCHEME, gates or Gates(), ranges, out)
        return read_quantize(out)


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Adapted:
    root = tmp_path_factory.mktemp("adapted")
    spec = NetworkSpec(
        "timm", "test_resnet", {}, 2, "fc", ImagePreprocessing(32, 32, "squash", (0.4, 0.5, 0.6), (0.5, 0.5, 0.5))
    )
    save_file(construct(spec).state_dict(), root / "network.safetensors")
    write_spec(spec, root / "network.json")
    samples = pictures(root / "pictures", 76)
    return Adapted(root, Split(("a", "b"), samples[:70], samples[70:], (), "squash", "", ""))


@pytest.fixture(scope="module")
def first(adapted: Adapted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("first") / "out"
    adapted.quantize(out)
    return out


def test_stopped_while_it_calibrates_the_stage_ends_in_the_same_bytes(
    adapted: Adapted, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def load(*arguments: Any) -> Any:
        seen.append(len(arguments[0]))
        if len(seen) == 4:
            raise KeyboardInterrupt
        return load_batch(*arguments)

    monkeypatch.setattr(calibration, "load_batch", load)
    notes = Notes()
    with pytest.raises(KeyboardInterrupt):
        adapted.quantize(tmp_path / "stopped")
    record = adapted.quantize(tmp_path / "out", progress=notes)
    assert notes.lines == ["calibration continues after batch 2 of 5"]
    assert seen == [16] * 4 + [16, 16, 6]
    assert record.calibration_images == 70  # all there are; the profile would take 2,000
    for name in ("network.onnx", "ranges.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (first / name).read_bytes(), name
    assert sorted(path.suffix for path in (tmp_path / "cache" / "ranges").iterdir()) == [".kept", ".safetensors"]


def test_given_ranges_are_used_without_looking_at_calibration_images(
    adapted: Adapted, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "load_batch", None)
    record = adapted.quantize(tmp_path / "out", ranges=first / "ranges.safetensors")
    assert record.ranges_given
    assert (tmp_path / "out" / "network.onnx").read_bytes() == (first / "network.onnx").read_bytes()


def test_given_ranges_of_another_profile_are_refused(adapted: Adapted, first: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="profile changed from entropy to mse") as caught:
        adapted.quantize(
            tmp_path / "out", profile=replace(PROFILE, observer="mse"), ranges=first / "ranges.safetensors"
        )
    assert caught.value.exit_code == 2


def test_corrected_biases_are_in_the_record(adapted: Adapted, tmp_path: Path) -> None:
    record = adapted.quantize(tmp_path / "out", Quantize(method="ptq", bias_correction=True))
    corrections = record.bias_corrections
    assert len(corrections) > 3
    assert sum(each.after for each in corrections) < 0.01 * sum(each.before for each in corrections)


def test_auto_is_the_calibrated_network_where_that_is_enough(adapted: Adapted, first: Path, tmp_path: Path) -> None:
    config = Quantize(method="auto", bias_correction=False)
    notes = Notes()
    record = adapted.quantize(tmp_path / "out", config, gates=Gates(max_drop_points=100.0), progress=notes)
    assert (record.method, record.history, record.chosen_epoch) == ("ptq", (), 0)
    assert record.decision is not None
    assert record.decision.calibrated.images == 6
    assert notes.lines == [f"{scheme_id(SCHEME)}: {record.decision.sentence}"]
    assert (tmp_path / "out" / "network.onnx").read_bytes() == (first / "network.onnx").read_bytes()


def test_auto_trains_where_calibration_misses_the_gate_and_keeps_the_better_one(
    adapted: Adapted, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Quantize(method="auto", bias_correction=False, epochs=1)
    monkeypatch.setattr("edgetl.quant.decide.is_inside", lambda *_: False)  # so small a network loses nothing
    record = adapted.quantize(tmp_path / "out", config, gates=Gates(max_drop_points=0))
    assert len(record.history) == 2
    assert record.decision is not None
    assert record.decision.trained is not None
    calibrated, trained = record.decision.calibrated.drop_points.value, record.decision.trained.drop_points.value
    assert record.method == ("qat" if trained < calibrated else "ptq")
    same = (tmp_path / "out" / "network.onnx").read_bytes() == (first / "network.onnx").read_bytes()
    assert same == (record.method == "ptq")


def test_a_gate_that_the_float_network_misses_costs_no_training(adapted: Adapted, first: Path, tmp_path: Path) -> None:
    config = Quantize(method="auto", bias_correction=False, epochs=1)
    gates = Gates(max_drop_points=None, min_top1=1.0, min_recall={adapted.split.classes[0]: 1.0})
    record = adapted.quantize(tmp_path / "out", config, gates=gates)
    assert record.decision is not None
    assert (record.method, record.history, record.decision.trained) == ("ptq", (), None)
    assert "The float network itself has top-1 of " in record.decision.sentence
    assert (tmp_path / "out" / "network.onnx").read_bytes() == (first / "network.onnx").read_bytes()


def test_a_training_that_diverges_is_survived_and_told_without_numbers_that_are_none(
    adapted: Adapted, first: Path, tmp_path: Path
) -> None:
    config = PTQ.model_copy(update={"method": "qat", "epochs": 1, "learning_rate": 1e37})
    record = adapted.quantize(tmp_path / "out", config)
    assert "NaN" not in (tmp_path / "out" / "quantize.json").read_text()
    assert record.chosen_epoch == 0
    assert math.isnan(record.history[1].loss)
    assert (tmp_path / "out" / "network.onnx").read_bytes() == (first / "network.onnx").read_bytes()


def test_bytes_with_their_zero_point_in_the_middle_take_any_mean(adapted: Adapted, tmp_path: Path) -> None:
    spec = read_spec(adapted.folder / "network.json")
    gray = replace(spec.image, mean=(0.4,) * 3)
    folder = tmp_path / "gray"
    folder.mkdir()
    (folder / "network.safetensors").write_bytes((adapted.folder / "network.safetensors").read_bytes())
    write_spec(replace(spec, preprocessing=gray), folder / "network.json")
    scheme = Scheme("uint8", activation_symmetric=True)
    (out := tmp_path / "out").mkdir()
    (pivot := tmp_path / "pivot").mkdir()
    run = adapted.run(tmp_path, profile=replace(PROFILE, images=8))
    quantize_network(run, folder, scheme, Gates(), None, out)
    export_pivot(run, folder, {scheme_id(scheme): out}, pivot)
    assert [model.precision for model in read_pivot(pivot).models] == ["float32", "int8"]
