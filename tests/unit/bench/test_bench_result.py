from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgetl.bench.machine import describe
from edgetl.bench.result import BuildBench, Latency, TargetBench, read_bench, write_bench
from edgetl.errors import EdgetlError
from edgetl.tasks.classification.accuracy import compare
from edgetl.tasks.detection.scores import DetectionScores
from edgetl.tasks.detection.task import Detection
from edgetl.types import Box, Boxes, ColdStart, Estimate, Interval


def example() -> TargetBench:
    labels = np.array([0, 1, 1])
    logits = np.eye(2, dtype=np.float32)[[0, 1, 0]]
    full = BuildBench(
        precision="int8",
        size_bytes=10,
        placement="int8 52, float32 1",
        not_integer=("conv",),
        accuracy=compare(logits, labels, logits),
        latency=Latency(Interval(1, 0.5, 2), None, Estimate(3, 2, 4), 300, 1),
        speedup=Interval(2, 1, 3),
        cold_start=ColdStart(50.0, 1000, 2000, 3),
        speedup_over={"bfloat16": Interval(1.1, 1, 1.2)},
    )
    bare = BuildBench(precision="float32", size_bytes=20, error="no kernel")
    return TargetBench("x86-cpu", "onnxruntime", "1.2", True, False, "", describe(), (0, 1, 2), (full, bare))


def test_a_result_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_bench(example(), tmp_path / "bench.json")
    assert read_bench(tmp_path / "bench.json") == example()


def test_the_scores_of_a_detector_come_back_as_they_were_written(tmp_path: Path) -> None:
    truths: list[Boxes] = [(Box(0, 0, 4, 4, 0), Box(5, 5, 15, 15, 1)), (Box(2, 2, 30, 30, 1),), ()]
    found = np.full((3, 100, 6), -1, np.float32)
    found[:, 0] = (2, 2, 30, 30, 0.75, 1)
    measured = Detection().measure(found, truths, found, 3)
    build = replace(example().builds[0], accuracy=measured)
    write_bench(replace(example(), builds=(build,)), tmp_path / "bench.json")
    again = read_bench(tmp_path / "bench.json").builds[0].accuracy
    assert again == measured
    assert isinstance(again, DetectionScores)
    assert again.sizes[-1].high is None


def test_the_file_is_plain_json_that_names_its_schema(tmp_path: Path) -> None:
    write_bench(example(), tmp_path / "bench.json")
    raw = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert raw["schema"] == 1
    assert raw["builds"][0]["accuracy"]["confusion"] == [[1, 0], [1, 1]]
    assert raw["builds"][1]["latency"] is None


def test_a_build_is_found_by_its_precision() -> None:
    assert example().build("float32") == example().builds[1]
    assert example().build("bfloat16") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("{}", "not a bench result of schema 1: `target`"),
        ('{"schema": 2}', "not a bench result of schema 1"),
        ("\x00", "not a bench result of schema 1: `the file`"),
    ],
)
def test_a_file_that_is_no_result_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "bench.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(EdgetlError, match=message):
        read_bench(path)
