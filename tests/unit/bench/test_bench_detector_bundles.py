"""Accuracy of finished detectors on annotated images."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from detector_pivot import LABELS, make_detector_pivot, pictures
from PIL import Image
from pydantic import TypeAdapter
from rich.console import Console

from edgetl.bench.bundle_gates import judge_bundles, parse_gates
from edgetl.bench.bundles import measure_bundles
from edgetl.bench.ci_files import csv_text
from edgetl.bench.measured_rows import rows
from edgetl.bench.measurement import Measurement
from edgetl.bench.timed import Timing
from edgetl.bundle.compile import compile_targets
from edgetl.bundle.inference import detect, open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.errors import BackendError, DataError
from edgetl.report.devices import DeviceFile, device_rows, read_devices
from edgetl.report.measured_table import show_measured
from edgetl.types import Silent

pytestmark = pytest.mark.stage


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """float32 and int8."""
    folder = tmp_path_factory.mktemp("bundles")
    made = compile_targets(make_detector_pivot(folder / "pivot"), ["x86-cpu"], folder / "bundles")
    try:
        with open_bundle(read_bundle(made[0]), threads=1):
            return sorted(made, key=lambda place: "int8" in place.name)
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def annotated(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list whose objects are those that the first bundle finds, without those of the last class and
    without boxes that are turned around."""
    folder = tmp_path_factory.mktemp("objects")
    paths = [folder / f"{index}.png" for index in range(6)]
    for path, pixels in zip(paths, pictures(6, seed=3), strict=True):
        Image.fromarray(pixels).save(path)
    lines = ["path,x0,y0,x1,y1,label"]
    for found in detect(bundles[0], paths, threads=1):
        assert found.objects is not None
        for box, label in zip(found.objects.boxes.tolist(), found.objects.labels.tolist(), strict=True):
            x0, y0, x1, y1 = box
            if label < len(LABELS) - 1 and x1 - x0 > 2 and y1 - y0 > 2:
                lines.append(",".join([Path(found.path).name, *(f"{value:.9g}" for value in box), LABELS[label]]))
    (folder / "list.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "list.csv"


@pytest.fixture(scope="module")
def measured(bundles: list[Path], annotated: Path) -> Measurement:
    return measure_bundles(bundles, annotated, Timing(20, 2, 1), Silent()).measurement


def test_the_score_is_ap_and_losses_are_against_the_first(measured: Measurement) -> None:
    first, second = measured.bundles
    assert (first.metric, first.top1, first.recalls) == ("AP", None, ())
    assert first.score is not None
    assert 0 < first.score.value < 1
    assert first.drop_points is None
    assert second.drop_points is not None
    assert second.score is not None
    assert second.drop_points.value == pytest.approx(100 * (first.score.value - second.score.value))


def test_every_class_has_its_ap_but_one_without_objects(measured: Measurement) -> None:
    found = measured.bundles[1].precisions
    assert [each.label for each in found] == list(LABELS)
    assert all((each.ap is None) == (each.drop_points is None) == (not each.objects) for each in found)
    assert any(each.objects for each in found)
    assert (found[-1].objects, found[-1].ap) == (0, None)
    assert all(each.drop_points is None for each in measured.bundles[0].precisions)


def test_the_table_names_the_metric_and_the_classes(measured: Measurement) -> None:
    stream = io.StringIO()
    show_measured(measured, Console(file=stream, width=80))
    text = stream.getvalue()
    assert "AP" in text.splitlines()[0]
    assert "top-1" not in text
    assert "2. AP of the first minus this one's: " in text
    assert f"1. AP %: {LABELS[0]} " in text or f"1. AP %: {LABELS[1]} " in text


def test_a_gate_on_the_score_is_one_on_ap(measured: Measurement) -> None:
    judged = judge_bundles(measured, parse_gates(["min_score=0.5"]))
    (check,) = judged.gates[0].checks
    assert check.verdict == "pass"
    assert check.reason.startswith("AP ")


def test_rows_have_a_column_per_class(measured: Measurement) -> None:
    table = list(csv.DictReader(io.StringIO(csv_text(rows(measured)))))
    assert table[0]["metric"] == "AP"
    assert table[0]["top1"] == ""
    assert float(table[1]["score_low"]) <= float(table[1]["score"])
    assert table[0][f"ap.{LABELS[-1]}"] == ""


def test_a_measurement_comes_back_from_its_file_with_the_score(measured: Measurement, tmp_path: Path) -> None:
    path = tmp_path / "device.json"
    path.write_bytes(TypeAdapter(Measurement).dump_json(measured))
    (again,) = read_devices([path])
    assert again == DeviceFile("device.json", measured)
    row = device_rows([again], ())[0]
    assert row.top1 is None
    assert row.score == measured.bundles[0].score.value  # type: ignore[union-attr]


def test_objects_of_a_class_that_the_bundle_does_not_know_are_refused(bundles: list[Path], tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    (tmp_path / "list.csv").write_text("path,x0,y0,x1,y1,label\na.png,1,1,9,9,zebra\n", encoding="utf-8")
    with pytest.raises(DataError, match="zebra"):
        measure_bundles(bundles[:1], tmp_path / "list.csv", Timing(20, 2, 1), Silent())


def test_the_whole_way_from_image_to_objects_is_timed_apart(bundles: list[Path]) -> None:
    measurement = measure_bundles(bundles, None, Timing(20, 1, 1), Silent()).measurement
    for each in measurement.bundles:
        assert each.p50_ms is not None
        assert each.detect_p50_ms is not None
        assert each.detect_p50_ms.value > each.p50_ms.value
    console = Console(width=100, record=True, file=io.StringIO())
    show_measured(measurement, console)
    assert console.export_text().count("from the decoded image to its objects, p50 ") == len(bundles)
