"""A detector from annotated images to bundles, through the command line: what a user does with the result."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from chain import edgetl, edgetl_without_torch
from detection_chain import DetectionChain
from this_cpu import INTEL_TARGET, X86_TARGET

pytestmark = pytest.mark.integration

PIXELS = 8


@pytest.fixture(scope="module")
def report(detection_chain: DetectionChain) -> dict[str, object]:
    found: dict[str, object] = json.loads((detection_chain.out / "report.json").read_text(encoding="utf-8"))
    return found


def rows(report: dict[str, object]) -> dict[str, dict[str, object]]:
    bundles = report["bundles"]
    assert isinstance(bundles, list)
    return {bundle["target"]: bundle for bundle in bundles}


def test_the_report_is_of_average_precision(report: dict[str, object]) -> None:
    assert (report["task"], report["metric"]) == ("detection", "AP")
    for target in (X86_TARGET, INTEL_TARGET):
        row = rows(report)[target]
        assert row["verdict"] == "pass", row["reason"]
        assert row["top1"] is None
        assert isinstance(row["score"], float)
        assert row["score"] > 0.2


def test_the_bundle_for_the_gpu_is_built_and_says_that_it_was_not_measured(report: dict[str, object]) -> None:
    row = rows(report).get("nvidia-rtx")
    if row is None:
        pytest.skip("TensorRT-RTX is not installed here")
    assert (row["verdict"], row["score"]) == ("not measured", None)
    assert isinstance(row["size_bytes"], int)
    assert row["size_bytes"] > 0


def test_the_page_shows_objects_and_curves_and_no_top_1(detection_chain: DetectionChain) -> None:
    page = (detection_chain.out / "report.html").read_text(encoding="utf-8")
    assert "AP" in page
    assert "top-1" not in page


@pytest.mark.parametrize("target", [X86_TARGET, INTEL_TARGET])
def test_every_golden_step_replays_without_torch(detection_chain: DetectionChain, target: str) -> None:
    done = edgetl_without_torch("verify", detection_chain.bundle(target), "--json")
    assert done.code == 0, done.err
    steps = json.loads(done.out)
    text = json.dumps(steps)
    for step in ("decode", "resize", "network", "postprocess"):
        assert step in text


def test_predict_finds_the_digits_where_they_are(detection_chain: DetectionChain, tmp_path: Path) -> None:
    bundle, drawn = detection_chain.bundle(X86_TARGET), tmp_path / "drawn"
    done = edgetl_without_torch("predict", bundle, detection_chain.pages, "--json", "--draw", drawn)
    assert done.code == 0, done.err
    assert len(list(drawn.iterdir())) == 16
    truth = json.loads((detection_chain.recipe.parent / "val.json").read_text(encoding="utf-8"))
    names = {category["id"]: category["name"] for category in truth["categories"]}
    found = 0
    for image, answer in zip(truth["images"], json.loads(done.out), strict=True):
        assert Path(answer["path"]).name == image["file_name"]
        for one in (each for each in truth["annotations"] if each["image_id"] == image["id"]):
            x, y, width, height = one["bbox"]
            corners = (x, y, x + width, y + height)
            found += any(
                seen["label"] == names[one["category_id"]]
                and max(abs(a - b) for a, b in zip(seen["box"], corners, strict=True)) < PIXELS
                for seen in answer["objects"]
            )
    assert found > len(truth["annotations"]) / 2


def test_bench_measures_the_same_precision_as_the_build(
    detection_chain: DetectionChain, report: dict[str, object]
) -> None:
    bundle = detection_chain.bundle(X86_TARGET)
    data = detection_chain.recipe.parent / "val.json"
    done = edgetl_without_torch("bench", bundle, "--data", data, "--json")
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)["bundles"]
    assert (row["metric"], row["images"]) == ("AP", 16)
    assert row["score"]["value"] == pytest.approx(rows(report)[X86_TARGET]["score"], abs=1e-9)


def test_a_second_build_has_nothing_to_do(detection_chain: DetectionChain) -> None:
    done = edgetl("build", detection_chain.recipe)
    assert done.code == 0, done.err
    assert "stages kept" in done.err


def test_a_pivot_alone_gives_bundles_for_further_targets(detection_chain: DetectionChain, tmp_path: Path) -> None:
    pivot = shutil.copytree(detection_chain.out / "pivot", tmp_path / "pivot")
    done = edgetl_without_torch("compile", pivot, "--target", "arm64-cpu", "--out", tmp_path / "more")
    assert done.code == 0, done.err
    assert sorted(path.name for path in (tmp_path / "more").iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("gates.min_top1=0.5", "gates.min_top1 is for classification, not for task: detection; use gates.min_score"),
        ("gates.min_recall={a: 0.5}", "gates.min_recall is for classification"),
        ("task=segmentation", "task"),
        ("detector.family=retina", "detector.family"),
        ("backbone.name=edgetl:unknown", "unknown"),
    ],
)
def test_what_a_detector_cannot_have_is_refused_in_one_line(
    detection_chain: DetectionChain, change: str, message: str
) -> None:
    done = edgetl("build", detection_chain.recipe, "--set", change)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
