"""The report stage on a detector: from benched builds to a bundle, report.json and report.html."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detector_pivot import LABELS, PREPROCESSING, make_detector_pivot, pictures
from detector_reports import ADAPTED, HISTORY
from html_outline import outline
from PIL import Image
from safetensors.numpy import save_file
from small_runs import small_run

from edgetl.adapt.detection.record import DetectorAdaptRecord, Times, Unlabeled, write_detector_adapt
from edgetl.bench.builds import Candidate, TargetBuilds
from edgetl.bench.measure_builds import measure_builds
from edgetl.bench.result import read_bench
from edgetl.bundle.compile import compile_pivot
from edgetl.bundle.inference import open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.checks.model import Checks, write_checks
from edgetl.errors import BackendError
from edgetl.fronts.batches import batches, frames_of
from edgetl.pivot.pivot import Pivot, write_pivot
from edgetl.recipes.run import Run
from edgetl.recipes.targets import load_target
from edgetl.report.model import Report, read_report
from edgetl.stages.finished import Built, Finished, Networks
from edgetl.stages.write_report import add_devices, write_reports
from edgetl.store.results import StageResult
from edgetl.tasks.detection.scores import DetectionScores
from edgetl.tasks.detection.task import Detection, objects
from edgetl.tasks.running import answer_all
from edgetl.types import Box, Sample, Split

pytestmark = pytest.mark.stage

TARGET = load_target("x86-cpu")
TASK = Detection()
VAL = 6


class Made:
    """A benched pair of builds; the labeled objects are some of those that the float build finds."""

    def __init__(self, folder: Path) -> None:
        self.pivot = make_detector_pivot(folder / "pivot")
        self.builds = [self._build(folder / precision, precision) for precision in ("int8", "float32")]
        plain = _samples(folder)
        self.reference = self._answers(plain)
        save_file({TASK.kept: self.reference}, self.pivot / "reference.safetensors")
        write_pivot(self.pivot, _unchecked(self.pivot))
        val = tuple(_labeled(*pair) for pair in zip(plain, objects(self.reference), strict=True))
        self.split = Split(LABELS, val[:2], val, (), "letterbox", "", "0" * 64)
        self.adapted, self.checked, self.bench = (folder / name for name in ("adapted", "checked", "bench"))
        for each in (self.adapted, self.checked, self.bench):
            each.mkdir()
        unlabeled = Unlabeled(val[0].path, LABELS[0], 0.91, (1.0, 2.0, 30.0, 40.0))
        record = replace(DetectorAdaptRecord(**vars(ADAPTED), history=HISTORY), unlabeled=(unlabeled,))
        write_detector_adapt(record, Times(3.5, 2, {"head": 0.5}, 1.0), self.adapted)
        write_checks(Checks(findings=(), shots=2, val=VAL), self.checked / "check.json")
        bundles = [read_bundle(each) for each in self.builds]
        candidates = tuple(Candidate(b.folder, b.manifest.compiled, b.manifest.postprocess) for b in bundles)
        builds = TargetBuilds(TARGET, candidates, PREPROCESSING, self.reference, TASK)
        measure_builds(self.run(), builds, self.bench)

    def _build(self, out: Path, precision: Any) -> Path:
        out.mkdir()
        compile_pivot(self.pivot, TARGET, precision, "cells-x86-cpu", out)
        return out

    def _answers(self, samples: tuple[Sample, ...]) -> Any:
        with open_bundle(read_bundle(self.builds[1]), threads=1) as engine:
            frames = frames_of(samples, PREPROCESSING)
            return answer_all(TASK, {"": engine}, batches(samples, PREPROCESSING), frames)[""]

    def run(self) -> Run:
        return small_run(
            self.split,
            self.bench,
            name="cells",
            task="detection",
            targets=["x86-cpu"],
            gates={"max_drop_points": 100},
            choose="int8",
        )

    def report(self, out: Path) -> Report:
        out.mkdir()
        write_reports(self.run(), self.finished, [], out)
        return read_report(out / "report.json")

    @property
    def finished(self) -> Finished:
        networks = Networks(_result(self.adapted), {}, _result(self.pivot))
        builds = tuple(_result(folder) for folder in self.builds)
        return Finished(_result(self.checked), networks, {"x86-cpu": Built(builds, _result(self.bench))})


def _result(folder: Path) -> StageResult:
    return StageResult("", folder, "", False, 0.1, 100)


def _samples(folder: Path) -> tuple[Sample, ...]:
    made = []
    for index, pixels in enumerate(pictures(VAL, seed=3)):
        path = folder / f"{index}.png"
        Image.fromarray(pixels).save(path)
        made.append(Sample(str(path), (), f"{index:064}"))
    return tuple(made)


def _labeled(sample: Sample, found: Any) -> Sample:
    rows = zip(found.boxes.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True)
    upright = [(box, label) for box, label, score in rows if score > 0.5 and box[2] - box[0] > 2 < box[3] - box[1]]
    boxes = tuple(Box(x0, y0, x1, y1, label) for (x0, y0, x1, y1), label in upright[::2])
    return Sample(sample.path, boxes, sample.sha256)


def _unchecked(folder: Path) -> Any:
    return Pivot.model_validate_json((folder / "pivot.json").read_bytes())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    try:
        return Made(tmp_path_factory.mktemp("reporting"))
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def out(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "out"
    made.report(folder)
    return folder


def test_the_manifest_of_the_shipped_bundle_calls_its_score_ap(made: Made, out: Path) -> None:
    report = read_report(out / "report.json")
    (row,) = report.bundles
    assert row.path is not None
    measured = read_bundle(out / row.path).manifest.measured
    assert measured is not None
    assert (measured.metric, measured.top1, measured.images) == ("AP", None, VAL)
    assert measured.score is not None
    assert measured.score.value == row.score


def test_the_report_has_the_scores_of_the_bench_and_of_the_float_network(made: Made, out: Path) -> None:
    report = read_report(out / "report.json")
    (bench,) = (read_bench(made.bench / "bench.json"),)
    for build, row in zip(bench.builds, report.bundles[0].builds, strict=True):
        assert isinstance(build.accuracy, DetectionScores)
        assert row.score == build.accuracy.ap.value.value
        assert row.detection is not None
        assert row.detection.threshold == build.accuracy.threshold == 0.5
    assert report.reference.detection is not None
    assert report.reference.detection.threshold == 0.5
    float32 = report.bundles[0].builds[1]
    assert (float32.score, float32.drop_points) == (report.reference.score, 0)


def test_the_page_has_the_sections_of_detection(out: Path) -> None:
    found = outline((out / "report.html").read_text(encoding="utf-8"))
    assert {"objects", "images", "adaptation"} <= set(found.ids)
    assert not {"confusion", "predictions"} & set(found.ids)
    words = "".join(found.words)
    assert "same class 1" in words
    assert "top1 agreement" not in words


def test_the_page_shows_objects_that_are_perhaps_not_labeled(made: Made, out: Path) -> None:
    page = (out / "report.html").read_text(encoding="utf-8")
    section = page.partition("Perhaps not labeled (1)")[2]
    assert f'aria-label="0.png: {LABELS[0]} 0.91"' in section
    assert '<rect x="1.0" y="2.0" width="29.0" height="38.0"/>' in section


def test_adding_devices_writes_the_same_page(made: Made, out: Path, tmp_path: Path) -> None:
    add_devices(made.run(), made.finished, out, (), tmp_path)
    assert (tmp_path / "report.html").read_bytes() == (out / "report.html").read_bytes()
    assert read_report(tmp_path / "report.json") == read_report(out / "report.json")
    assert np.isfinite(made.reference).all()
