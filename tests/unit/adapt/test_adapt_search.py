"""What a search over heads and depths of fine-tuning ends with, on tiny synthetic pictures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_adaptations import adapt_in, split_in
from torch import nn

from edgetl.adapt import choose_head, finetune, guards, strategy, trials
from edgetl.adapt.episode import extract
from edgetl.errors import UsageError
from edgetl.tasks.classification.heads.head import Head

pytestmark = [pytest.mark.stage, pytest.mark.usefixtures("one_thread", "short_baseline")]


def test_auto_rolls_back_when_fine_tuning_is_worse(tmp_path: Path, weights: Path) -> None:
    split = split_in(tmp_path)
    adapt_in(split, weights, tmp_path / "probe", strategy="probe")
    record = adapt_in(split, weights, tmp_path / "auto", strategy="auto", learning_rate=1.0)  # breaks any backbone
    assert record.strategy == "probe"
    assert "rolled back" in record.reason or "diverged" in record.reason
    assert record.epochs == 0
    assert {candidate.kind for candidate in record.candidates} == {"head", "finetune"}
    assert [candidate.kind for candidate in record.candidates if candidate.chosen] == ["head"]
    same = [(tmp_path / name / "network.safetensors").read_bytes() for name in ("probe", "auto")]
    assert same[0] == same[1]


def test_auto_keeps_fine_tuning_that_is_better(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ignorant(shots: Any, *_: Any) -> Head:
        return Head("logistic", np.zeros((3, shots.space.mean.size)), np.zeros(3), "")

    def unjudged(_: str, shots: Any, *__: Any) -> np.ndarray:
        return np.zeros((len(shots.labels), 3))

    monkeypatch.setattr(trials, "fit_head", lambda _, shots, __: ignorant(shots))
    monkeypatch.setattr(choose_head, "held_out_logits", unjudged)
    quick: dict[str, Any] = {"train_last": 4, "batch_size": 4, "epochs": 8, "learning_rate": 3e-3, "folds": 3}
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="auto", **quick)
    assert record.strategy == "finetune"
    assert record.reason.startswith("Fine-tuning: on 18 held-out shots")
    (chosen,) = [candidate for candidate in record.candidates if candidate.chosen]
    assert chosen.kind == "finetune"
    assert chosen.images == 18
    assert chosen.difference_points is not None
    assert chosen.difference_points > 0
    assert record.epochs == len(record.history.final)
    assert {guard.guard: guard.verdict for guard in record.guards}["negative transfer"] in ("pass", "warn")


def test_a_final_run_that_fails_is_rolled_back_too(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = split_in(tmp_path)
    adapt_in(split, weights, tmp_path / "probe", strategy="probe")
    original = finetune.finetune

    def broken(network: nn.Module, *rest: Any, **more: Any) -> Any:
        trained = original(network, *rest, **more)
        network.get_parameter("fc.weight").data.fill_(float("nan"))
        return trained

    monkeypatch.setattr(strategy, "finetune", broken)  # the trials have their own
    record = adapt_in(split, weights, tmp_path / "out", strategy="finetune")
    assert record.strategy == "probe"
    assert "on all shots was rolled back" in record.reason
    found = {guard.guard: guard for guard in record.guards}["negative transfer"]
    assert found.verdict == "rolled back"
    assert found.sentence.startswith("Fine-tuning on all shots ended worse than its trials")
    same = [(tmp_path / name / "network.safetensors").read_bytes() for name in ("probe", "out")]
    assert same[0] == same[1]


def test_one_shot_a_class_is_a_probe(tmp_path: Path, weights: Path) -> None:
    record = adapt_in(split_in(tmp_path, shots=1), weights, tmp_path / "out", strategy="auto")
    assert record.strategy == "probe"
    assert "single shot" in record.reason
    states = [(candidate.kind, candidate.state) for candidate in record.candidates]
    assert states == [("head", "not judged: nothing could be held out")]
    (too_little,) = [guard for guard in record.guards if guard.guard == "too little data"]
    assert too_little.verdict == "warn"
    assert "add a shot, from another group, to each such class" in too_little.sentence
    forced = adapt_in(split_in(tmp_path, shots=1), weights, tmp_path / "forced", strategy="finetune", epochs=2)
    assert (forced.strategy, forced.epochs) == ("finetune", 2)
    assert {candidate.state for candidate in forced.candidates} == {"not judged: nothing could be held out"}


def test_one_shot_a_class_prepares_no_fine_tuning(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def noted(task: Any, wanted: Any, worth: Any) -> Any:
        asked.append(len(wanted))
        return extract(task, wanted, worth)

    monkeypatch.setattr(strategy, "extract", noted)
    adapt_in(split_in(tmp_path, shots=1), weights, tmp_path / "out", strategy="auto")
    assert asked == [0]
    with pytest.raises(UsageError, match="no parameter under `layer9`"):
        adapt_in(split_in(tmp_path, shots=1), weights, tmp_path / "wrong", freeze=["layer9"])


def test_fine_tuning_that_is_asked_for_is_not_told_to_be_rolled_back(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "clear_lead", lambda _: math.inf)  # no lead is clear
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="finetune", epochs=2)
    assert record.strategy == "finetune"
    found = {guard.guard: guard for guard in record.guards}["negative transfer"]
    assert found.verdict == "warn"
    assert "is not clearly better than" in found.sentence
    assert found.sentence.endswith(", and was kept because the recipe asks for it.")


def test_batch_norms_that_learn_take_any_number_of_shots(tmp_path: Path, weights: Path) -> None:
    settings: dict[str, Any] = {"batch_norm": "trained", "batch_size": 17, "train_last": 1, "epochs": 1}
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="finetune", **settings)  # 18 shots
    assert record.history.final


def test_a_budget_too_small_for_any_fine_tuning_leaves_the_head(tmp_path: Path, weights: Path) -> None:
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", budget_minutes=1e-9)
    assert record.strategy == "probe"
    assert "over the budget" in record.reason
    assert {c.state for c in record.candidates if c.kind == "finetune"} == {"over budget"}
