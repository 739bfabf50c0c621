"""What the chain does when a candidate more cannot be made: it says so and goes on."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from edgetl.errors import BackendError
from edgetl.pivot.pivot import FOLDER
from edgetl.recipes.gates import Gates
from edgetl.recipes.targets import load_target
from edgetl.stages import pipeline
from edgetl.stages.finished import Built, Networks
from edgetl.stages.repair import cannot_repair
from edgetl.store.results import StageResult
from edgetl.types import Advance


class Notes:
    """Progress that keeps its notes."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def task(self, label: str, total: int | None = None) -> nullcontext[Advance]:
        return nullcontext(lambda steps=1, detail="": None)

    def note(self, text: str) -> None:
        self.told.append(text)


def done(stage: str, folder: Path) -> StageResult:
    return StageResult(stage, folder, "", False, 0.1, 0)


def fails(*_: Any, **__: Any) -> StageResult:
    raise BackendError("float model: not the network of the Q/DQ model")


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def chain(tmp_path: Path, notes: Notes, monkeypatch: pytest.MonkeyPatch) -> pipeline._Chain:
    """INT8 builds are to be repaired, and a repair finds layers."""
    (tmp_path / "repair" / FOLDER).mkdir(parents=True)
    monkeypatch.setattr(pipeline, "needs_repair", lambda *_: True)
    monkeypatch.setattr(pipeline, "cannot_repair", lambda _: "")
    monkeypatch.setattr(pipeline, "gates_to_repair_for", lambda *_: Gates())
    monkeypatch.setattr(pipeline, "repair_stage", lambda *_: done("repair", tmp_path / "repair"))
    monkeypatch.setattr(pipeline, "compile_stage", lambda *_: done("mixed", tmp_path))
    monkeypatch.setattr(pipeline, "bench_stage", lambda *_: done("bench again", tmp_path))
    anything: Any = None
    return pipeline._Chain(anything, pipeline._Ledger(notes), Gates(), Networks(anything, {}, anything))


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return Built((done("int8", tmp_path), done("float32", tmp_path)), done("bench", tmp_path))


TARGET = load_target("x86-cpu")


def test_a_repaired_build_stands_behind_int8_and_all_are_measured_again(chain: pipeline._Chain, built: Built) -> None:
    repaired = pipeline._repaired(chain, TARGET, built)
    assert [result.stage for result in repaired.builds] == ["int8", "mixed", "float32"]
    assert repaired.bench.stage == "bench again"
    assert repaired.repair is not None


@pytest.mark.parametrize("stage", ["repair_stage", "compile_stage", "bench_stage"])
def test_a_repair_that_cannot_be_done_is_told_and_leaves_the_builds_as_they_were(
    stage: str, chain: pipeline._Chain, built: Built, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, stage, fails)
    assert pipeline._repaired(chain, TARGET, built) == built
    assert notes.told[-1] == "x86-cpu: no repair: float model: not the network of the Q/DQ model"


def test_what_saturates_on_this_cpu_alone_is_not_repaired(
    chain: pipeline._Chain, built: Built, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "cannot_repair", cannot_repair)
    monkeypatch.setattr("edgetl.bench.machine.saturates", lambda _: True)
    monkeypatch.setattr(pipeline, "repair_stage", None)
    assert pipeline._repaired(chain, TARGET, built) == built
    assert notes.told == [
        "x86-cpu: INT8 is not repaired here: this CPU has no VNNI and saturates; build for x86-avx2 or intel-avx2"
    ]


def test_compiling_ends_with_every_bundle_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    monkeypatch.setattr("edgetl.bundle.inference.open_once", lambda folder, name: opened.append(folder))
    built = {name: [done("compile", tmp_path / name / p) for p in ("int8", "float32")] for name in ("a", "b")}
    pipeline._open_all(built)
    assert opened == [tmp_path / name / p for name in ("a", "b") for p in ("int8", "float32")]


def test_stages_in_a_row_that_were_kept_are_one_line(notes: Notes, tmp_path: Path) -> None:
    ledger = pipeline._Ledger(notes)
    kept = [StageResult(stage, tmp_path, "", True, 9.0, 0) for stage in ("data", "check", "adapt")]
    for result in (*kept, done("quantize", tmp_path), kept[0]):
        ledger.add(result)
    ledger.say_kept()
    ledger.say_kept()
    assert [" ".join(line.split()) for line in notes.told] == [
        "3 stages kept, data to adapt",
        "quantize 0.1 s",
        "data kept",
    ]
