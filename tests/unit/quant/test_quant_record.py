"""quantize.json and surgery.json are refused in one line when they are not whole."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from edgetl.errors import EdgetlError
from edgetl.quant.record import Epoch, read_quantize
from edgetl.quant.simplify.record import SurgeryRecord, read_surgery, write_surgery
from edgetl.recipes.recipe import Surgery
from edgetl.types.findings import Replaceable

SURGERY = SurgeryRecord(
    surgery=("relu",),
    replaced=Replaceable(9, 0),
    gates_folded_into={},
    batch_norms_matched=13,
    fold_relative_difference=0.0,
    settings=Surgery(epochs=2),
    history=(Epoch(0, 0.5, 0.9), Epoch(1, 0.25, 1.0, 0.4)),
    chosen_epoch=1,
    agreement=1.0,
    device="cpu",
)


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_surgery(SURGERY, tmp_path)
    assert read_surgery(tmp_path) == SURGERY


def test_an_epoch_that_diverged_comes_back_without_a_loss(tmp_path: Path) -> None:
    write_surgery(replace(SURGERY, history=(Epoch(0, math.inf, 0.9),)), tmp_path)
    assert math.isnan(read_surgery(tmp_path).history[0].loss)


def test_a_damaged_record_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "quantize.json").write_text('{"schema": 1}')
    with pytest.raises(EdgetlError, match=r"quantize\.json: not a record of quantization .*; build again$"):
        read_quantize(tmp_path)
    (tmp_path / "surgery.json").write_text("{")
    with pytest.raises(EdgetlError, match=r"surgery\.json: not a record of surgery .*; build again$"):
        read_surgery(tmp_path)
