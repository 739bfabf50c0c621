"""adapt.json and run.json: written once, read back as they were, refused in one line when they are not whole."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from edgetl.adapt.record import (
    AdaptRecord,
    Budget,
    Candidate,
    Epoch,
    Guard,
    HeldOut,
    History,
    ResizeChoice,
    Times,
    read_adapt,
    write_adapt,
)
from edgetl.errors import EdgetlError
from edgetl.types.findings import Audit

DIVERGED = Epoch(2, 1e-3, math.nan, HeldOut(math.nan, 0.5))
RECORD = AdaptRecord(
    strategy="probe",
    reason="New head (ncm).",
    head="ncm",
    resize=ResizeChoice("crop", "crop: the recipe names it"),
    candidates=(Candidate("ncm", "head", "", "judged", 3, 0.5, 18, 0.9, chosen=True),),
    guards=(Guard("sanity probe", "pass", "They beat random ones.", {"spread": 2.0}),),
    learning_curve=None,
    folds=3,
    held_out_images=18,
    budget=Budget(3.0, 1.0, "1 of 3 minutes"),
    epochs=0,
    learning_rate=None,
    trained_parts=None,
    augment="light",
    audit=Audit(3, ("fc.weight",), ("fc.weight",)),
    source="timm resnet18",
    licence="",
    frozen_parameters=10,
    trained_parameters=2,
    device="cpu",
    seconds=12.5,
    threads=2,
    history=History({"finetune all": ((Epoch(1, 1e-3, 2.0, None), DIVERGED),)}),
)
TIMES = Times(12.5, 2, {"ncm": 0.5}, {"finetune all": ((1.0, 1.0),)}, ())


def test_a_record_comes_back_as_it_was_written_with_what_it_took(tmp_path: Path) -> None:
    write_adapt(RECORD, TIMES, tmp_path)
    found = read_adapt(tmp_path)
    assert found.candidates == RECORD.candidates
    assert (found.seconds, found.threads) == (12.5, 2)
    assert found.chosen == RECORD.candidates[0]


def test_what_a_run_took_is_beside_the_record_of_equal_runs(tmp_path: Path) -> None:
    write_adapt(RECORD, TIMES, tmp_path)
    assert "seconds" not in (tmp_path / "adapt.json").read_text()
    assert json.loads((tmp_path / "run.json").read_text())["candidates"] == {"ncm": 0.5}


def test_a_loss_that_is_not_finite_is_null_in_the_file_and_no_number_again(tmp_path: Path) -> None:
    write_adapt(RECORD, TIMES, tmp_path)
    assert "NaN" not in (tmp_path / "adapt.json").read_text()
    (fold,) = read_adapt(tmp_path).history.trials["finetune all"]
    assert fold[0] == Epoch(1, 1e-3, 2.0, None)
    assert math.isnan(fold[1].train_loss)
    assert fold[1].held_out is not None
    assert math.isnan(fold[1].held_out.loss)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema": 1}, r"`schema`: expected 2; found 1; build again"),
        ({"candidates": 3}, r"`candidates`: .*; build again"),
        ({"guards": [{"guard": "x"}]}, r"`guards\.0\.verdict` is missing; build again"),
    ],
)
def test_a_record_that_is_damaged_or_of_another_schema_is_refused_in_one_line(
    change: dict[str, object], told: str, tmp_path: Path
) -> None:
    write_adapt(RECORD, TIMES, tmp_path)
    path = tmp_path / "adapt.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(EdgetlError, match=rf"adapt\.json: not a record of adaptation of schema 2: {told}$"):
        read_adapt(tmp_path)


def test_a_record_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgetlError, match=r"adapt\.json: cannot be read: .*; build again"):
        read_adapt(tmp_path)
