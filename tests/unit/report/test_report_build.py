from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from adaptation_records import record

from edgetl.bench.gates import judge
from edgetl.bench.machine import describe
from edgetl.bench.result import BuildBench, HostCheck, Latency, TargetBench
from edgetl.errors import EdgetlError
from edgetl.recipes.gates import Gates
from edgetl.recipes.recipe_file import parse_recipe
from edgetl.report.build import ReportInputs, TargetResult, build_report, overall
from edgetl.report.model import SkippedFile, Stage, read_report, report_schema, write_report
from edgetl.tasks.classification.accuracy import Accuracy, compare
from edgetl.types import ColdStart, Estimate, Interval, Sample, Skipped, Split

LABELS = np.array([0, 0, 1, 1])
REFERENCE = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
# what DESIGN-level readers of report.json rely on
PROMISED = (
    "target backend precision path measured emulated top1 top1_low top1_high drop_points agreement p50_ms p90_ms "
    "p99_ms float_p50_ms speedup cold_start_ms peak_rss_bytes size_bytes verdict reason"
)


def accuracy(answers: list[int]) -> Accuracy:
    return compare(np.eye(2, dtype=np.float32)[answers], LABELS, REFERENCE)


def latency(p50_ms: float) -> Latency:
    p50, p90, p99 = (Interval(p50_ms * f, p50_ms * f * 0.9, p50_ms * f * 1.1) for f in (1, 1.5, 2))
    return Latency(p50, p90, Estimate(p99.value), runs=300, threads=1)


def measured() -> TargetBench:
    builds = (
        BuildBench(
            precision="int8",
            size_bytes=250,
            placement="int8 52, float32 1",
            not_integer=("conv",),
            accuracy=accuracy([0, 0, 1, 0]),
            latency=latency(3.0),
            speedup=Interval(2.4, 2.3, 2.5),
            cold_start=ColdStart(80.0, 4000, 9000, 3),
        ),
        BuildBench(precision="float32", size_bytes=900, accuracy=accuracy([0, 0, 1, 1]), latency=latency(7.2)),
    )
    return TargetBench("x86-cpu", "onnxruntime", "1.31", True, False, "", describe(), (0, 1, 2, 3), builds)


def absent() -> TargetBench:
    builds = (BuildBench(precision="int8", size_bytes=250),)
    return TargetBench(
        "nvidia-rtx", "tensorrt_rtx", "1.7", False, False, "no driver; install it", describe(), (), builds
    )


def inputs(*benches: TargetBench, gates: Gates | None = None) -> ReportInputs:
    recipe = parse_recipe(
        {"name": "demo", "data": {"train": "t"}, "backbone": {"name": "b"}, "targets": [b.target for b in benches]},
        where="here",
    )
    samples = tuple(Sample(f"/home/ada/photos/{index}.png", int(label), "") for index, label in enumerate(LABELS))
    split = Split(
        ("a", "b"), samples[:2], samples, (Skipped("/home/ada/photos/x.png", "truncated"),), "squash", "square", "d1"
    )
    gates = gates or Gates(max_drop_points=None)
    return ReportInputs(
        recipe=recipe,
        split=split,
        reference=accuracy([0, 0, 1, 1]),
        targets=tuple(TargetResult(bench, judge(bench, gates), f"out/demo-{bench.target}") for bench in benches),
        adapt=record(),
        stages=(Stage(stage="data", seconds=1.0, peak_rss_bytes=5, reused=True),),
        versions={"edgetl": "0"},
    )


def test_the_promised_fields_are_there_with_the_shipped_build_s_figures(tmp_path: Path) -> None:
    write_report(build_report(inputs(measured(), absent())), tmp_path / "report.json")
    raw = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert raw["schema"] == 1
    assert raw["classes"] == ["a", "b"]
    assert raw["reference"]["top1"] == 1.0
    assert raw["reference"]["images"] == 4
    for bundle in raw["bundles"]:
        assert set(PROMISED.split()) <= set(bundle)
    first = raw["bundles"][0]
    assert (first["precision"], first["top1"], first["drop_points"], first["agreement"]) == ("int8", 0.75, 25.0, 0.75)
    assert (first["p50_ms"], first["p90_ms"], first["p99_ms"], first["float_p50_ms"]) == (3.0, 4.5, 6.0, 7.2)
    assert (first["speedup"], first["cold_start_ms"], first["peak_rss_bytes"]) == (2.4, 80.0, 4000)
    assert (first["path"], first["verdict"]) == ("out/demo-x86-cpu", "pass")


def test_case_minority_class_recalls_of_int8_and_float_are_in_the_json(tmp_path: Path) -> None:
    bench = replace(measured(), labels=("a", "b"))
    gates = Gates(max_drop_points=None, min_recall={"b": 0.95})
    write_report(build_report(inputs(bench, gates=gates)), tmp_path / "report.json")
    raw = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    int8 = raw["bundles"][0]["builds"][0]
    assert [(each["label"], each["images"]) for each in int8["recalls"]] == [("a", 2), ("b", 2)]
    lost = int8["recalls"][1]
    assert (lost["recall"], lost["float_recall"], lost["drop_points"]) == (0.5, 1.0, 50.0)
    assert lost["recall_low"] < 0.5 < lost["recall_high"]
    assert lost["float_recall_low"] < 1.0
    assert lost["drop_points_low"] < 50 < lost["drop_points_high"]
    assert [(gate["gate"], gate["label"], gate["verdict"]) for gate in int8["gates"]] == [("min_recall", "b", "fail")]
    assert [each["recall"] for each in raw["reference"]["recalls"]] == [1.0, 1.0]
    assert raw["summary"] == "1 of 1 measured target passes", "float32 ships"


def test_a_p99_without_an_interval_is_an_indication() -> None:
    bundle = build_report(inputs(measured())).bundles[0]
    assert (bundle.p99_ms, bundle.p99_ms_low, bundle.p99_ms_high) == (6.0, None, None)


def test_what_was_not_measured_is_null_and_never_a_number() -> None:
    bundle = build_report(inputs(absent())).bundles[0]
    assert (bundle.measured, bundle.verdict, bundle.precision) == (False, "not measured", "int8")
    figures = (
        bundle.top1,
        bundle.drop_points,
        bundle.p50_ms,
        bundle.float_p50_ms,
        bundle.speedup,
        bundle.cold_start_ms,
    )
    assert figures == (None,) * 6
    assert bundle.size_bytes == 250
    assert bundle.not_measured_reason == "no driver; install it"


def test_what_the_host_answered_for_an_absent_cpu_is_told_apart() -> None:
    host = HostCheck(emulated_images=2, same=1, max_abs_diff=0.1, undecided=1, most_top1=1.0, least_drop_points=-25.0)
    build = BuildBench(precision="int8", size_bytes=250, accuracy=accuracy([0, 0, 1, 1]), host=host)
    bench = replace(absent(), emulated=True, builds=(build,))
    bundle = build_report(inputs(bench)).bundles[0]
    assert (bundle.images, bundle.emulated_images, bundle.emulated_same, bundle.undecided_images) == (4, 2, 1, 1)
    alone = build_report(inputs(replace(bench, builds=(replace(build, host=None),)))).bundles[0]
    assert (alone.images, alone.emulated_images, alone.undecided_images) == (4, None, None)


def test_every_build_is_listed_with_its_gates() -> None:
    bundle = build_report(inputs(measured(), gates=Gates(max_drop_points=1.0))).bundles[0]
    assert [(build.precision, build.verdict) for build in bundle.builds] == [("int8", "fail"), ("float32", "pass")]
    assert bundle.precision == "float32"
    assert bundle.builds[0].gates[0].gate == "max_drop_points"
    assert bundle.builds[0].gates[0].value == 25.0
    assert bundle.builds[0].not_integer == ("conv",)


def test_a_target_where_nothing_runs_ships_nothing() -> None:
    bench = absent()
    broken = replace(bench, measured=True, builds=(replace(bench.builds[0], error="no kernel"),))
    bundle = build_report(inputs(broken)).bundles[0]
    assert (bundle.precision, bundle.verdict, bundle.size_bytes) == (None, "fail", None)


def test_data_and_adaptation_are_summed_up() -> None:
    report = build_report(inputs(measured()))
    assert (report.data.shots, report.data.val) == (2, 4)
    assert (report.data.shots_per_class, report.data.val_per_class) == ((2, 0), (2, 2))
    assert report.data.skipped == (SkippedFile(path="x.png", reason="truncated"),), "no home folder in a report"
    assert report.adapt == record()
    assert (report.data.resize, report.data.resize_reason) == ("crop", "crop: a ridge had more right with it")


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["pass", "pass"], "pass"),
        (["pass", "not measured"], "not measured"),
        (["not measured", "fail", "pass"], "fail"),
    ],
)
def test_the_worst_verdict_is_the_report_s(verdicts: list[Any], expected: str) -> None:
    assert overall(verdicts) == expected


def test_a_report_comes_back_as_it_was_written(tmp_path: Path) -> None:
    report = build_report(inputs(measured(), absent()))
    write_report(report, tmp_path / "report.json")
    assert read_report(tmp_path / "report.json") == report


def test_a_field_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    report = build_report(inputs(measured()))
    write_report(report, tmp_path / "report.json")
    raw = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    raw["news"] = raw["bundles"][0]["news"] = 1
    (tmp_path / "report.json").write_text(json.dumps(raw), encoding="utf-8")
    assert read_report(tmp_path / "report.json") == report


@pytest.mark.parametrize("text", [None, "[]", '{"schema": 2}'])
def test_a_file_that_is_no_report_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "report.json").write_text(text, encoding="utf-8")
    with pytest.raises(EdgetlError, match=r"report\.json: (cannot read the report|not a report of schema 1)"):
        read_report(tmp_path / "report.json")


def test_a_report_fits_its_own_json_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    report = build_report(inputs(measured(), absent()))
    jsonschema.validate(json.loads(report.model_dump_json(by_alias=True)), report_schema())
    assert "schema" in report_schema()["properties"]


def test_what_qualifies_a_measurement_reaches_the_report() -> None:
    cut = BuildBench(precision="int8", size_bytes=250, unmeasured="emulation did not finish")
    here, gpu = measured(), replace(describe(), gpu="Some GPU 9")
    other = replace(here, other_cpu="a CPU without vnni", builds=(cut, here.builds[1]))
    report = build_report(inputs(other, replace(absent(), machine=gpu)))
    assert report.bundles[0].other_cpu == "a CPU without vnni"
    assert report.bundles[0].builds[0].unmeasured == "emulation did not finish"
    assert (report.bundles[1].other_cpu, report.bundles[0].unmeasured) == ("", None)
    assert report.machine is not None
    assert report.machine.gpu == "Some GPU 9"
