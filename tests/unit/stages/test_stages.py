"""What is kept of a bench, and what makes it be measured again."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetl.bench import qemu
from edgetl.bench.machine import describe
from edgetl.bench.result import BENCH_FILE, BuildBench, TargetBench, write_bench
from edgetl.recipes.gates import Gates
from edgetl.recipes.recipe import Bench, Recipe
from edgetl.recipes.targets import load_target
from edgetl.stages import bench
from edgetl.store.results import StageResult, open_store


def recipe(**changes: object) -> Recipe:
    parts = {"name": "parts", "data": {"train": "photos"}, "backbone": {"name": "squeezenet1_1"}}
    return Recipe.model_validate({**parts, "targets": ["arm64-cpu"], **changes})


def measured_once(out: Path, unmeasured: list[str | None]) -> list[bool]:
    """Measure in as many runs as there are reasons; per run, whether the result was kept from before."""
    left = list(unmeasured)

    def run(folder: Path) -> None:
        builds = (BuildBench("int8", 1, unmeasured=left.pop(0)),)
        write_bench(TargetBench("pi", "onnxruntime", "1", False, True, "", describe(), (), builds), folder / BENCH_FILE)

    def again() -> StageResult:
        with open_store(out) as store:
            return bench._once_measured(store, {"bench": 1}, run, {}, "pi")

    return [again().reused for _ in unmeasured]


def test_a_bench_that_was_cut_short_is_measured_again_by_the_next_run(tmp_path: Path) -> None:
    assert measured_once(tmp_path / "out", ["too slow", "too slow", None, None, None]) == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_what_decides_an_emulated_bench_is_part_of_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "missing", lambda: None)
    monkeypatch.setattr(qemu, "identity", lambda: ["qemu", "1.31.1", ""])
    arm = load_target("arm64-cpu")
    before = bench._emulation(recipe(), arm)
    assert before is not None
    assert bench._emulation(recipe(), arm) == before
    assert bench._emulation(recipe(gates=Gates(max_drop_points=3)), arm) != before
    monkeypatch.setattr(qemu, "identity", lambda: ["qemu", "1.30.0", ""])
    assert bench._emulation(recipe(), arm) != before
    assert bench._emulation(recipe(bench=Bench(emulate=False)), arm) is None
    assert bench._emulation(recipe(), load_target("jetson-orin-nano")) is None
