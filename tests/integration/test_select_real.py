"""`edgetl select` on real images with real backbones."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetl.explore.select.result import Budget
from edgetl.explore.select.select import select
from edgetl.recipes.job import make_job
from edgetl.recipes.recipe_file import parse_recipe
from edgetl.types import Silent

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_pretrained_backbones_beat_a_random_one_and_the_small_one_is_faster(shared: Path, tmp_path: Path) -> None:
    train = shared / "data" / "neu_steel" / "train"
    recipe = parse_recipe(
        {
            "name": "steel",
            "data": {"train": str(train), "shots": 10, "max_val_images": 6},
            "backbone": {"name": "tf_mobilenetv3_large_100", "pretrained": False, "input_size": 96},
            "targets": ["x86-cpu"],
        },
        where="test",
    )
    job = make_job(recipe, tmp_path, weights_dirs=(shared / "weights",))
    names = ("tf_mobilenetv3_large_100", "mobilenetv2_100", "tf_mobilenetv3_small_100")
    found = select(job, names, None, Budget(), Silent())
    rows = {row.name: row for row in found.rows}
    assert found.rows[-1].name == "tf_mobilenetv3_large_100"
    small, middle, random = (rows[name] for name in names[::-1])
    for row in (small, middle, random):
        assert row.transfer is not None
        assert row.cost is not None
    assert small.transfer
    assert middle.transfer
    assert random.transfer
    assert small.cost
    assert middle.cost
    # 98 % was measured for both
    assert small.transfer.top1
    assert small.transfer.top1.value > 0.9
    assert middle.transfer.top1
    assert middle.transfer.top1.value > 0.9
    assert random.transfer.top1
    assert random.transfer.top1.value < 0.85
    assert random.transfer.logme < min(small.transfer.logme, middle.transfer.logme)
    # 55 and 300 million, as published
    assert 50e6 < small.cost.macs < 70e6
    assert 280e6 < middle.cost.macs < 330e6
    if not found.unmeasured:
        assert small.cost.p50_ms
        assert middle.cost.p50_ms
        assert small.cost.p50_ms.value < middle.cost.p50_ms.value
