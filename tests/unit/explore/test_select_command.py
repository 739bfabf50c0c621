"""`edgetl select` from a recipe to its files, with the backbone that comes with the package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgetl.cli import main
from edgetl.explore.select import select as module
from edgetl.explore.select import stages

RECIPE = """# two kinds of noise
name: noise
data: {train: photos, shots: 4}
backbone: {name: "edgetl:printed_characters", input_size: 40}  # ours
targets: [x86-cpu]
"""


pytestmark = [pytest.mark.stage, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all tests: what a backbone costs is measured once and kept in it."""
    tmp_path = tmp_path_factory.mktemp("select")
    generator = np.random.default_rng(0)
    for label, brightness in (("dark", 80), ("light", 255)):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for index in range(6):
            pixels = generator.integers(0, brightness, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{index}.png")
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def _run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["select", *map(str, arguments), "--quiet"])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_candidate_is_measured_and_one_that_fails_is_a_row(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("--backbone", "edgetl:printed_characters", "--backbone", "no_such_network")
    assert _run(recipe, "--json", *names) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["best"] == "edgetl:printed_characters"
    own, absent = told["rows"]
    assert (own["cost"]["height"], own["cost"]["width"]) == (40, 40)
    assert own["cost"]["macs"] > 0
    assert own["cost"]["p50_ms"]["low"] <= own["cost"]["p50_ms"]["value"] <= own["cost"]["p99_ms"]["value"]
    assert own["cost"]["placement"].startswith("float32")
    assert own["transfer"]["images"] == 8
    assert absent["verdict"] == "failed"
    assert "no network `no_such_network`" in absent["reason"]
    out = recipe.parent / "noise-build"
    assert json.loads((out / "select.json").read_text(encoding="utf-8")) == told
    with Image.open(out / "select.png") as picture:
        assert picture.format == "PNG"

    def never(*_: object, **__: object) -> None:
        raise AssertionError("this was measured before")

    monkeypatch.setattr(stages, "interleaved", never)
    monkeypatch.setattr(stages, "cold_start", never)
    assert _run(recipe, "--json", *names) == 0
    assert json.loads(capsys.readouterr().out) == told


def test_exit_code_3_and_no_recipe_where_nothing_is_within_budget(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = recipe.parent / "none.yaml"
    assert _run(recipe, "--max-bytes", 10, "--write", place) == 3
    shown = capsys.readouterr()
    assert "10 allowed" in shown.out
    assert "no backbone is within budget; wrote no recipe" in shown.err
    assert not place.exists()


def test_the_best_backbone_is_written_into_a_new_recipe(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = recipe.parent / "new.yaml"
    assert _run(recipe, "--max-ms", 1e6, "--write", place) == 0
    assert place.read_text(encoding="utf-8") == RECIPE
    assert _run(recipe, "--write", place) == 2
    assert "already exists" in capsys.readouterr().err


def test_a_target_of_another_machine_gives_costs_on_paper_and_takes_no_latency_budget(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgetl.types import Missing

    monkeypatch.setattr(module, "obstacle", lambda target: Missing("needs a CPU of type z80", "run it there"))
    assert _run(recipe, "--max-ms", 5) == 2
    assert "cannot be measured here: needs a CPU of type z80" in capsys.readouterr().err
    assert _run(recipe, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["unmeasured"] == "needs a CPU of type z80; run it there"
    assert told["rows"][0]["cost"]["p50_ms"] is None
    assert told["rows"][0]["cost"]["macs"] > 0


def test_when_every_candidate_fails_each_reason_is_told(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(recipe, "--backbone", "no_such_network", "--backbone", "tv_nothing") == 1
    error = capsys.readouterr().err.splitlines()
    assert error[0] == "edgetl: none of 2 backbones could be compared"
    assert [line.split(":")[1].strip() for line in error[1:]] == ["no_such_network", "tv_nothing"]
