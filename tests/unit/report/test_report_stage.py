"""The report stage: judge what was measured, ship the chosen build with its figures, write both reports."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from adaptation_records import candidate, record
from backend_pivots import CLASSES, images, pivot, reference
from PIL import Image
from pivot_folder import LABELS, PREPROCESSING, make_pivot
from safetensors.numpy import save_file
from small_runs import small_run

from edgetl.adapt.record import AdaptRecord, History, Times, write_adapt
from edgetl.bench.builds import Candidate, TargetBuilds
from edgetl.bench.bundles import measure_bundles
from edgetl.bench.measure_builds import measure_builds
from edgetl.bench.timed import Timing
from edgetl.bundle.compile import compile_pivot
from edgetl.bundle.read import read_bundle
from edgetl.checks.model import Checks, Finding, write_checks
from edgetl.pivot.float_answers import read_reference
from edgetl.pivot.pivot import read_pivot, write_pivot
from edgetl.quant.record import Decision, Epoch, Judged, QuantizeRecord, write_quantize
from edgetl.recipes.run import Run
from edgetl.recipes.targets import load_target, scheme_id
from edgetl.report.devices import read_devices
from edgetl.report.model import Report, read_report
from edgetl.stages.finished import Built, Finished, Networks
from edgetl.stages.write_report import add_devices, write_reports
from edgetl.store.results import StageResult
from edgetl.types import OUTPUT_NAME, Interval, Precision, Sample, Silent, Split
from edgetl.types.findings import Replaceable

pytestmark = pytest.mark.stage

VAL = 10
SCHEME = scheme_id(load_target("null").scheme)
FINDINGS = (Finding(check="copies", verdict="refuse", sentence="1 validation image also among the training images"),)

WHY = "Calibrated, it loses 2.00 points; 0.50 are half of what the gate allows. Trained it loses 0.33."
ADAPTED = AdaptRecord(**vars(record(candidates=(candidate("ridge"),))), history=History())
JUDGED = Judged(VAL, 0.9, Interval(0.33, 0.0, 1.0))
QUANTIZED = QuantizeRecord(
    scheme=SCHEME,
    profile="default",
    method="qat",
    decision=Decision("qat", WHY, JUDGED, JUDGED),
    operators={"conv": 2},
    ranges=3,
    ranges_sha256="",
    batch_norms_folded=0,
    batch_norms_left=0,
    history=tuple(Epoch(number, 0.1, 1.0) for number in range(3)),
    chosen_epoch=2,
    calibration_images=50,
    ranges_given=False,
    replaceable=Replaceable(0, 0),
    bias_corrections=(),
    device="cpu",
    reference_agreement=1.0,
)


class Made:
    """A benched pair of builds for the null target, ready to be judged."""

    def __init__(self, folder: Path) -> None:
        self.split = _split(folder)
        self.pivot = make_pivot(folder / "pivot")
        pictures = np.stack([np.asarray(Image.open(sample.path)) for sample in self.split.val])
        save_file({"logits": reference(pivot("float32"), pictures)}, self.pivot / "reference.safetensors")
        write_pivot(self.pivot, read_pivot_unchecked(self.pivot))
        self.adapted = folder / "adapted"
        self.adapted.mkdir()
        write_adapt(ADAPTED, Times(3.5, 2, {"ridge": 0.5}, {}, ()), self.adapted)
        self.quantized = folder / "quantized"
        self.quantized.mkdir()
        write_quantize(QUANTIZED, self.quantized)
        self.checked = folder / "checked"
        self.checked.mkdir()
        write_checks(Checks(findings=FINDINGS, shots=CLASSES, val=VAL), self.checked / "check.json")
        self.builds = [self._build(folder / precision, precision) for precision in ("int8", "float32")]
        self.bench = folder / "bench"
        self.bench.mkdir()
        self._measure()

    def _build(self, out: Path, precision: Precision) -> Path:
        out.mkdir()
        compile_pivot(self.pivot, load_target("null"), precision, "kinds-null", out)
        return out

    def _measure(self) -> None:
        bundles = [read_bundle(folder) for folder in self.builds]
        candidates = tuple(Candidate(bundle.folder, bundle.manifest.compiled) for bundle in bundles)
        reference = read_reference(self.pivot / "reference.safetensors", OUTPUT_NAME, VAL)
        builds = TargetBuilds(load_target("null"), candidates, PREPROCESSING, reference)
        measure_builds(self.run(), builds, self.bench)

    def report(self, out: Path, **changes: Any) -> Report:
        out.mkdir()
        stages = [replace(result(self.builds[0]), stage="compile", what="null int8", seconds=1.5)]
        write_reports(self.run(**changes), self.finished, stages, out)
        return read_report(out / "report.json")

    def run(self, **changes: Any) -> Run:
        sections: dict[str, Any] = {"name": "kinds", "gates": {"max_drop_points": None}, **changes}
        return small_run(self.split, self.bench, **sections)

    @property
    def finished(self) -> Finished:
        networks = Networks(result(self.adapted), {SCHEME: result(self.quantized)}, result(self.pivot))
        builds = tuple(result(folder) for folder in self.builds)
        return Finished(result(self.checked), networks, {"null": Built(builds, result(self.bench))})


def result(folder: Path) -> StageResult:
    return StageResult("", folder, "", False, 0.1, 100)


def _split(folder: Path) -> Split:
    (folder / "val").mkdir()
    samples: list[Sample] = []
    for index, picture in enumerate(images(VAL)):
        path = folder / "val" / f"{index}.png"
        Image.fromarray(picture).save(path)
        samples.append(Sample(str(path), index % CLASSES, f"{index:064}"))
    return Split(LABELS, tuple(samples[:CLASSES]), tuple(samples), (), "squash", "", "0" * 64)


def read_pivot_unchecked(folder: Path):  # type: ignore[no-untyped-def]
    from edgetl.pivot.pivot import Pivot

    return Pivot.model_validate_json((folder / "pivot.json").read_bytes())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("reporting"))


def test_the_shipped_bundle_is_the_measured_build_with_its_figures(made: Made, tmp_path: Path) -> None:
    report = made.report(tmp_path / "out", choose="int8")
    (row,) = report.bundles
    assert (row.verdict, row.precision, row.path) == ("pass", "int8", "bundles/kinds-null")
    bundle = read_bundle(tmp_path / "out" / "bundles" / "kinds-null")
    built = read_bundle(made.builds[0])
    assert bundle.manifest.files == built.manifest.files
    measured = bundle.manifest.measured
    assert measured is not None
    assert (measured.images, measured.emulated, measured.threads) == (VAL, False, 1)
    assert measured.metric == "top-1"
    assert measured.top1 == measured.score
    assert measured.score is not None
    assert measured.score.value == row.top1 == row.score
    assert measured.p50_ms == row.p50_ms
    assert bundle.manifest.verdict == "pass"


def test_the_float_build_ships_when_the_recipe_asks_for_it(made: Made, tmp_path: Path) -> None:
    assert made.report(tmp_path / "out", choose="float32").bundles[0].precision == "float32"
    assert read_bundle(tmp_path / "out" / "bundles" / "kinds-null").manifest.compiled.precision == "float32"


def test_a_missed_gate_is_in_report_and_bundle(made: Made, tmp_path: Path) -> None:
    report = made.report(tmp_path / "out", gates={"max_size_bytes": 10})
    assert report.verdict == report.bundles[0].verdict == "fail"
    manifest = read_bundle(tmp_path / "out" / "bundles" / "kinds-null").manifest
    assert manifest.verdict == "fail"
    assert "above the allowed 10" in manifest.reason


def test_a_measurement_of_the_shipped_bundle_is_recognized_by_its_digest(made: Made, tmp_path: Path) -> None:
    report = made.report(tmp_path / "out")
    bundle = tmp_path / "out" / "bundles" / "kinds-null"
    measured = measure_bundles([bundle], None, Timing(300, 1, 1), Silent()).measurement
    path = tmp_path / "device.json"
    path.write_text(json.dumps(asdict(measured)))
    out = tmp_path / "merged"
    out.mkdir()
    add_devices(made.run(), made.finished, tmp_path / "out", read_devices([path]), out)
    merged = read_report(out / "report.json")
    (device,) = merged.devices
    assert (device.file, device.match, device.harness) == ("device.json", "this bundle", "edgetl python")
    assert device.bundle_sha256 == report.bundles[0].bundle_sha256
    assert merged.model_copy(update={"devices": ()}) == report
    assert "Measured on devices" in (out / "report.html").read_text(encoding="utf-8")


def test_the_report_tells_stages_parity_versions_and_adaptation(made: Made, tmp_path: Path) -> None:
    report = made.report(tmp_path / "out")
    assert [(stage.stage, stage.what, stage.seconds) for stage in report.stages] == [("compile", "null int8", 1.5)]
    assert set(report.parity) == {"float32.onnx", next(model.file for model in read_pivot(made.pivot).models[1:])}
    assert set(report.versions) == {"edgetl", "null"}
    assert report.adapt == record(candidates=(candidate("ridge", seconds=0.5),), seconds=3.5, threads=2)
    assert report.reference.images == VAL
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "compile null int8" in html
    assert json.loads((tmp_path / "out" / "report.json").read_text())["schema"] == 1


def test_the_report_says_how_the_integers_came_to_be_and_why(made: Made, tmp_path: Path) -> None:
    (found,) = made.report(tmp_path / "out").quantized
    assert (found.scheme, found.targets, found.method) == (SCHEME, ("null",), "qat")
    assert (found.calibration_images, found.epochs, found.decision) == (50, 2, WHY)
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert WHY in html
    assert "quantization-aware training" in html
    assert "50 images, 2 epochs" in html


def test_builds_that_cannot_run_ship_nothing_and_fail(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgetl.bench.result import read_bench

    def broken(path: Path):  # type: ignore[no-untyped-def]
        from dataclasses import replace

        bench = read_bench(path)
        builds = tuple(
            replace(build, error="will not open", accuracy=None, latency=None, speedup=None) for build in bench.builds
        )
        return replace(bench, builds=builds)

    monkeypatch.setattr("edgetl.stages.write_report.read_bench", broken)
    (row,) = made.report(tmp_path / "out").bundles
    assert (row.verdict, row.path, row.precision) == ("fail", None, None)
    assert "will not open" in row.reason
    assert list((tmp_path / "out" / "bundles").iterdir()) == []


def test_what_the_check_found_is_in_both_reports_and_an_allowed_leak_is_named(made: Made, tmp_path: Path) -> None:
    report = made.report(tmp_path / "out", check={"allow_leak": True})
    assert report.checks is not None
    assert report.checks.findings == FINDINGS
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<strong>Allowed leak:</strong> 1 validation image also among the training images." in page
    assert '<h2 id="checks">' in page
