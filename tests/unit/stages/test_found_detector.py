"""The summary after `edgetl adapt`, of a detector."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgetl.adapt.detection.record import Candidate, DetectorAdaptRecord, History, Times, write_detector_adapt
from edgetl.adapt.record import Budget, Guard
from edgetl.adapt.records import read_adaptation
from edgetl.errors import EdgetlError
from edgetl.stages.found import found
from edgetl.store.results import StageResult
from edgetl.types import Interval
from edgetl.types.findings import Audit

HEAD = Candidate(
    "head", "neck and head, rate 0.004", "judged", 1920, 3, None, 30, Interval(0.512, 0.46, 0.56), None, chosen=True
)
RECORD = DetectorAdaptRecord(
    family="anchor-free",
    reason="Training `head`.",
    candidates=(HEAD,),
    guards=(
        Guard("negative transfer", "pass", "It finds more than before.", {}),
        Guard("too little data", "warn", "platelets: 9 objects.", {}),
    ),
    folds=3,
    held_out_images=30,
    objects={"cell": 120},
    score_threshold=0.42,
    budget=Budget(3.0, 2.4, "2.4 of 3 min."),
    steps=240,
    batch_size=8,
    learning_rate=0.004,
    augment="overhead",
    resize="squash",
    audit=Audit(matched=262, dropped=(), new=("head.0",)),
    source="timm mobilenetv2_100",
    licence="apache-2.0",
    frozen_parameters=541112,
    trained_parameters=100040,
    device="cpu",
    history=History(),
)


def adapted(folder: Path, record: DetectorAdaptRecord = RECORD) -> StageResult:
    write_detector_adapt(record, Times(12.5, 1, {"head": 4.0}, 2.0), folder)
    return StageResult("adapt", folder, "d", reused=False, seconds=12.5, peak_rss_bytes=1)


def test_the_lines_say_what_was_chosen_how_good_it_is_and_what_to_heed(tmp_path: Path) -> None:
    assert found([adapted(tmp_path)]).lines() == [
        "chosen:   anchor-free, head: neck and head, rate 0.004",
        "held-out: utility 0.512 (0.460 to 0.560) on 30 shots, each with networks not trained on it: F1 of an image, "
        "mean over overlaps from 0.5 to 0.95",
        "warn: platelets: 9 objects.",
    ]


def test_the_json_names_the_task_and_the_utility(tmp_path: Path) -> None:
    summary = found([adapted(tmp_path)]).to_json()["adapt"]
    assert (summary["task"], summary["family"], summary["chosen"]) == ("detection", "anchor-free", "head")
    assert summary["utility"] == {"value": 0.512, "low": 0.46, "high": 0.56}
    assert summary["score_threshold"] == 0.42
    assert len(summary["guards"]) == 2


@pytest.mark.parametrize(
    ("changes", "folds", "said"),
    [
        ({"state": "over budget"}, 3, "held-out: not measured: over budget"),
        (
            {"state": "not judged: nothing could be held out"},
            0,
            "held-out: not measured, because nothing could be held out",
        ),
    ],
)
def test_a_way_that_was_not_judged_says_why(tmp_path: Path, changes: dict[str, str], folds: int, said: str) -> None:
    alone = replace(HEAD, utility=None, images=0, **changes)  # type: ignore[arg-type]
    record = replace(RECORD, candidates=(alone,), folds=folds)
    assert said in found([adapted(tmp_path, record)]).lines()


def test_the_record_comes_back_with_its_times(tmp_path: Path) -> None:
    adapted(tmp_path)
    again = read_adaptation(tmp_path)
    assert isinstance(again, DetectorAdaptRecord)
    assert (again.seconds, again.candidates[0].seconds) == (12.5, 4.0)


@pytest.mark.parametrize("text", ["", "[]", '{"task": "detection"}', '{"task": "else"}'])
def test_a_damaged_record_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "adapt.json").write_text(text, encoding="utf-8")
    with pytest.raises(EdgetlError, match=r"adapt\.json: not a record of"):
        read_adaptation(tmp_path)
