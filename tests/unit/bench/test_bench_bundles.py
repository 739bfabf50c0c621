"""Bundles measured together: same rounds, same images, labels that must be theirs."""

from __future__ import annotations

import datetime
import hashlib
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from backend_pivots import images
from PIL import Image
from pivot_folder import LABELS, make_pivot
from pydantic import TypeAdapter

from edgetl.bench.bundles import drift, measure_bundles
from edgetl.bench.measurement import Measurement, measurement_schema
from edgetl.bench.timed import Timing
from edgetl.bundle.compile import compile_targets
from edgetl.bundle.manifest import read_manifest
from edgetl.bundle.write import replace_compiled
from edgetl.errors import BackendError, BundleError, DataError
from edgetl.types import Silent

pytestmark = pytest.mark.stage


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return compile_targets(make_pivot(folder / "pivot"), ["null"], folder / "bundles")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label in LABELS:
        (tmp_path / label).mkdir()
        for index, picture in enumerate(images(2)):
            Image.fromarray(picture).save(tmp_path / label / f"{index}.png")
    return tmp_path


class Notes(Silent):
    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)


def run(
    bundles: list[Path], data: Path | None = None, progress: Silent | None = None, *, cold_starts: int = 0
) -> Measurement:
    how = progress or Silent()
    return measure_bundles(bundles, data, Timing(300, 2, 1), how, cold_starts=cold_starts).measurement


def test_bundles_alone_are_timed_on_their_golden_images(bundles: list[Path]) -> None:
    measured = run(bundles)
    first, second = measured.bundles
    assert (first.bundle, second.bundle) == (str(bundles[0]), str(bundles[1]))
    assert first.ratio is None
    assert second.ratio is not None
    assert (first.runs, first.images, first.top1) == (300, 0, None)
    for each in measured.bundles:
        assert each.p50_ms is not None
        assert each.p99_ms is not None
        assert 0 < each.p50_ms.value <= each.p99_ms.value
        assert each.size_bytes > 0


def test_a_measurement_names_harness_date_bundle_and_cold_start(bundles: list[Path]) -> None:
    measured = run(bundles[:1], cold_starts=1)
    (bundle,) = measured.bundles
    assert (measured.schema, measured.harness) == (1, "edgetl python")
    assert datetime.datetime.fromisoformat(measured.created).tzinfo is not None
    assert bundle.bundle_sha256 == hashlib.sha256((bundles[0] / "manifest.json").read_bytes()).hexdigest()
    assert bundle.cold_start_ms is not None
    assert bundle.cold_start_ms > 0
    assert bundle.baseline_rss_bytes is not None
    assert bundle.baseline_rss_bytes > 0
    assert run(bundles[:1]).bundles[0].cold_start_ms is None


def test_with_labeled_images_right_answers_are_counted(bundles: list[Path], photos: Path) -> None:
    # zeros: always the first class, right for one label of five
    (measured,) = run(bundles[:1], photos).bundles
    assert measured.images == 2 * len(LABELS)
    assert measured.top1 is not None
    assert measured.top1.value == pytest.approx(1 / len(LABELS))
    assert measured.top1.low < measured.top1.value < measured.top1.high


def test_images_whose_logits_are_nan_are_wrong(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("sick")
    bundle = next(path for path in compile_targets(make_pivot(folder / "pivot"), ["x86-cpu"], folder / "out"))
    bundle = bundle.with_name("x86-cpu-float32")
    model = onnx.load_model(bundle / "model.onnx")
    (bias,) = (each for each in model.graph.initializer if each.name == "gemm.bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(len(LABELS), np.nan, np.float32), "gemm.bias"))
    onnx.save_model(model, bundle / "model.onnx")
    manifest = read_manifest(bundle)
    replace_compiled(bundle, manifest, manifest.compiled)
    try:
        (measured,) = run([bundle], photos).bundles
    except BackendError as error:
        pytest.skip(str(error))
    assert measured.images == 2 * len(LABELS)
    assert measured.top1 is not None
    assert measured.top1.value == 0


def test_a_folder_that_is_no_class_is_refused_and_named(bundles: list[Path], photos: Path) -> None:
    (photos / LABELS[0]).rename(photos / "other thing")
    with pytest.raises(DataError, match=r"`other thing` is not a class of .*null-int8, which has `kind 0`.*`kind 4`"):
        run(bundles[:1], photos)


def test_test_set_with_fewer_classes_is_matched_by_name(bundles: list[Path], photos: Path) -> None:
    for label in (LABELS[0], LABELS[2], LABELS[4]):
        shutil.rmtree(photos / label)
    notes = Notes()
    # zeros: always the first class, which has no images here
    (measured,) = run(bundles[:1], photos, notes).bundles
    assert (measured.images, measured.top1 and measured.top1.value) == (4, 0)
    (note,) = notes.told
    assert "no images of `kind 0`, `kind 2`, `kind 4`: accuracy covers only the other classes" in note


def test_a_class_whose_name_differs_only_in_case_or_form_is_taken_and_said(bundles: list[Path], photos: Path) -> None:
    (photos / LABELS[0]).rename(photos / "Kind 0 ")
    notes = Notes()
    (measured,) = run(bundles[:1], photos, notes).bundles
    assert measured.top1 is not None
    assert measured.top1.value == pytest.approx(1 / len(LABELS))
    assert any("`Kind 0 ` is taken as the class `kind 0`" in note for note in notes.told)


def test_an_image_that_cannot_be_used_is_named_and_left_out(bundles: list[Path], photos: Path) -> None:
    (photos / LABELS[1] / "0.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    notes = Notes()
    (measured,) = run(bundles[:1], photos, notes).bundles
    assert measured.images == 2 * len(LABELS) - 1
    (note,) = notes.told
    assert "run git lfs pull" in note


def test_bundles_of_other_inputs_are_not_timed_together(bundles: list[Path], tmp_path: Path) -> None:
    import json

    other = Path(shutil.copytree(bundles[0], tmp_path / "other"))
    content = json.loads((other / "manifest.json").read_text())
    content["preprocessing"]["resize"] = "crop"
    (other / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match="takes another input"):
        run([bundles[0], other])


def test_a_bundle_without_golden_images_needs_a_folder(tmp_path: Path, photos: Path) -> None:
    (bundle, _) = compile_targets(make_pivot(tmp_path / "pivot", golden=0), ["null"], tmp_path / "bundles")
    with pytest.raises(BundleError, match="name a folder with --data"):
        run([bundle])
    folder = tmp_path / "pictures"
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / label / "0.png")
    assert run([bundle], folder).bundles[0].images == len(LABELS)


class TestManyBundles:
    def test_a_bundle_that_is_named_twice_is_measured_twice(self, bundles: list[Path]) -> None:
        measured = run([bundles[0], bundles[0]])
        first, second = measured.bundles
        assert first.bundle == second.bundle
        assert second.ratio is not None
        assert second.ratio.low <= second.ratio.value <= second.ratio.high

    def test_a_folder_of_bundles_stands_for_those_that_can_be_measured(
        self, bundles: list[Path], tmp_path: Path
    ) -> None:
        for bundle in bundles:
            shutil.copytree(bundle, tmp_path / bundle.name)
        pivot = make_pivot(tmp_path.parent / f"{tmp_path.name}-pivot")
        (absent,) = (path for path in compile_targets(pivot, ["arm64-cpu"], tmp_path) if path.name.endswith("int8"))
        shutil.rmtree(absent.with_name("arm64-cpu-float32"))
        (tmp_path / "null-int8" / "labels.txt").write_text("others\n")
        (tmp_path / "notes").mkdir()
        measured = run([tmp_path])
        assert [Path(each.bundle).name for each in measured.bundles] == ["null-float32"]
        assert [(Path(left.bundle).name, left.damaged) for left in measured.left_out] == [
            ("arm64-cpu-int8", False),
            ("null-int8", True),
        ]
        assert "needs a CPU of type aarch64" in measured.left_out[0].reason

    def test_a_folder_in_which_nothing_can_be_measured_is_an_error(self, bundles: list[Path], tmp_path: Path) -> None:
        shutil.copytree(bundles[0], tmp_path / "one")
        (tmp_path / "one" / "labels.txt").write_text("others\n")
        with pytest.raises(BackendError, match="no bundle in it can be measured here"):
            run([tmp_path])


def test_case_minority_class_recalls_are_counted_of_every_class(bundles: list[Path], photos: Path) -> None:
    # zeros: always the first class
    first, second = run(bundles, photos).bundles
    assert [each.label for each in first.recalls] == list(LABELS)
    assert [each.images for each in first.recalls] == [2] * len(LABELS)
    assert [each.recall.value for each in first.recalls if each.recall] == [1.0, *[0.0] * (len(LABELS) - 1)]
    assert [each.drop_points for each in first.recalls] == [None] * len(LABELS)
    assert all(each.drop_points is not None and each.drop_points.value == 0 for each in second.recalls)
    assert second.drop_points is not None
    assert second.drop_points.value == 0


def test_repeats_open_and_time_anew_and_all_runs_are_kept(bundles: list[Path]) -> None:
    measured = measure_bundles(bundles, None, Timing(50, 2, 1), Silent(), repeats=3)
    assert [[series.size for series in repeats] for repeats in measured.times] == [[50] * 3] * 2
    for each in measured.measurement.bundles:
        assert each.runs == 150
        assert len(each.repeat_p50_ms) == 3
    assert measured.measurement.warnings[0] == "150 runs give only a rough idea: all times are indications"


def test_a_measurement_fits_its_published_schema(bundles: list[Path]) -> None:
    schema = measurement_schema()
    raw = TypeAdapter(Measurement).dump_python(run(bundles[:1]), mode="json")
    assert set(raw) == set(schema["properties"])
    assert TypeAdapter(Measurement).validate_python(raw) is not None


def test_case_more_threads_than_cores_is_warned_of(bundles: list[Path]) -> None:
    measured = measure_bundles(bundles[:1], None, Timing(300, 2, 1024), Silent()).measurement
    assert any(told.startswith("1024 threads on ") for told in measured.warnings)
    assert not any(told.startswith("busy machine: the timed runs waited") for told in measured.warnings)


def drifting(memory: float, runs: int) -> np.ndarray:
    """(runs,) nanoseconds in rounds of 10 that differ by 3 % and remember the one before."""
    generator = np.random.default_rng(3)
    rounds = [0.0]
    for step in generator.normal(0, 0.03 * np.sqrt(1 - memory**2), runs // 10 - 1):
        rounds.append(memory * rounds[-1] + step)
    return np.round(1e6 * np.exp(np.repeat(rounds, 10) + generator.normal(0, 0.01, runs))).astype(np.int64)


def test_a_machine_that_drifts_is_named_with_the_runs_that_are_enough() -> None:
    (line,) = drift([drifting(0.0, 300), drifting(0.9, 300)])
    assert line.startswith("drifting machine: 300 runs")
    enough = int(line.partition("--runs ")[2].partition(" ")[0])
    assert 600 <= enough <= 10_000
    assert drift([drifting(0.0, 300)]) == ()
    assert drift([drifting(0.9, 290)]) == (), "fewer than 300 runs are an indication anyway"
    assert drift([drifting(0.9, 12_000)]) == ()
