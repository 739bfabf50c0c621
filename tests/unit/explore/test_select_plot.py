"""The picture of accuracy against latency."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgetl.explore.select.plot import draw
from edgetl.explore.select.result import Budget, Cost, Selection, Transfer, failed, judge, ranked
from edgetl.types import Interval


def _selection(*, measured: bool, probed: bool, max_ms: float | None = 3.0) -> Selection:
    rows = [failed("gone", "no weights")]
    for name, ms in (("small_$x$_net", 1.0), ("large", 40.0)):
        cost = Cost(224, 224, 10**6, int(ms * 10**7), 100, Interval(ms, ms, ms) if measured else None)
        transfer = Transfer(Interval(0.9, 0.8, 0.95) if probed else None, 0.3, 30, 8)
        rows.append(judge(name, transfer, cost, Budget(max_ms)))
    return Selection("pets", "x86-cpu", "" if measured else "elsewhere", 1, Budget(max_ms), ranked(rows))


@pytest.mark.parametrize("measured", [True, False])
@pytest.mark.parametrize("probed", [True, False])
def test_a_picture_is_drawn_with_and_without_latency_and_probe(tmp_path: Path, measured: bool, probed: bool) -> None:
    draw(_selection(measured=measured, probed=probed), tmp_path / "select.png")
    with Image.open(tmp_path / "select.png") as picture:
        assert picture.format == "PNG"
        assert np.asarray(picture.convert("L")).std() > 5
    assert [path.name for path in tmp_path.iterdir()] == ["select.png"]


def test_the_budget_is_a_line_in_the_picture(tmp_path: Path) -> None:
    found = _selection(measured=True, probed=True)
    draw(found, tmp_path / "with.png")
    draw(replace(found, budget=Budget()), tmp_path / "without.png")
    assert (tmp_path / "with.png").read_bytes() != (tmp_path / "without.png").read_bytes()
