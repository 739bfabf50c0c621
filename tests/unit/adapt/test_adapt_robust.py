"""An adaptation goes on where one part of it fails or was stopped, and its guards cost little beside it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_adaptations import adapt_in, split_in

from edgetl.adapt import choose_head, finetune, race, scratch, snapshot, strategy, trials, verdicts
from edgetl.tasks.classification.heads import by_name

pytestmark = [pytest.mark.stage, pytest.mark.usefixtures("one_thread", "short_baseline")]


def test_case_guard_of_a_probe_costs_a_fifth_of_it_at_most(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe seemed to hang after its heads: a network was trained from scratch to compare with, in silence."""

    def fail(*_: Any) -> Any:
        raise AssertionError("trained a network")

    monkeypatch.setattr(scratch, "_train", fail)
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="probe", views=1)
    found = {guard.guard: guard for guard in record.guards}["negative transfer"]
    assert verdicts.PIXELS["image"] in found.sentence.lower()


def test_a_killed_guard_keeps_the_folds_that_it_finished(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "GUARD_SHARE", math.inf)
    split, trained, original = split_in(tmp_path), list[int](), scratch._train

    def until_the_third(*arguments: Any) -> Any:
        trained.append(1)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(scratch, "_train", until_the_third)
    with pytest.raises(KeyboardInterrupt):
        adapt_in(split, weights, tmp_path / "killed", strategy="probe", folds=5)
    adapt_in(split, weights, tmp_path / "again", strategy="probe", folds=5)
    assert len(trained) == 3 + 3  # two of five were kept


def test_a_final_training_that_was_killed_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "_EVERY_S", 0.0)
    settings: dict[str, Any] = {"strategy": "finetune", "train_last": 1, "epochs": 4, "head": "ncm"}
    split, trained, original = split_in(tmp_path), list[int](), finetune._Trainer.epoch
    adapt_in(split, weights, tmp_path / "whole", **settings)
    assert not (tmp_path / "cache" / strategy.UNFINISHED).exists()

    def until_the_third(trainer: Any, train: Any, number: int) -> float:
        trained.append(number)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return original(trainer, train, number)

    monkeypatch.setattr(finetune._Trainer, "epoch", until_the_third)
    with pytest.raises(KeyboardInterrupt):
        adapt_in(split, weights, tmp_path / "killed", **settings)  # its trials are kept from the first run
    adapt_in(split, weights, tmp_path / "again", **settings)
    assert trained == [1, 2, 3, 3, 4]
    whole, again = ((tmp_path / name / "network.safetensors").read_bytes() for name in ("whole", "again"))
    assert whole == again


def test_a_way_of_fine_tuning_that_cannot_be_trained_is_named_and_the_others_go_on(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = trials.run_trial

    def odd(task: Any, tuning: Any, *more: Any) -> Any:
        if tuning.prepared.depth.title.startswith("all"):
            raise RuntimeError("an operator\nwithout gradient")
        return original(task, tuning, *more)

    monkeypatch.setattr(race, "run_trial", odd)
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="finetune")
    states = {row.setting: row.state for row in record.candidates if row.kind == "finetune"}
    failed = [setting for setting, state in states.items() if state == "failed"]
    assert len(failed) == 1
    assert failed[0].endswith(": an operator without gradient")
    assert record.strategy == "finetune"
    assert "judged" in states.values()


def test_a_head_that_cannot_be_fitted_is_left_out(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = by_name.held_out_logits

    def odd(name: str, *more: Any) -> Any:
        if name == "logistic":
            raise ValueError("no solution")
        return original(name, *more)

    monkeypatch.setattr(choose_head, "held_out_logits", odd)
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="probe")
    heads = [row.name for row in record.candidates if row.kind == "head"]
    assert heads
    assert not any("logistic" in name for name in heads)


@pytest.mark.parametrize(("strategy", "views"), [("probe", 5), ("finetune", 9)])
def test_a_probe_looks_at_no_more_views_than_a_head_is_fitted_on(
    tmp_path: Path, weights: Path, strategy: str, views: int
) -> None:
    adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy=strategy, train_last=1, epochs=1, views=8)
    shapes = [np.load(path, mmap_mode="r").shape for path in (tmp_path / "cache" / "features").glob("*.npy")]
    # and the view of random weights, for the sanity probe
    assert sum(len(shape) == 2 for shape in shapes) == views + 1


def test_the_record_says_what_more_shots_would_bring(tmp_path: Path, weights: Path) -> None:
    curve = adapt_in(split_in(tmp_path, shots=9), weights, tmp_path / "out", strategy="probe").learning_curve
    assert curve is not None
    assert curve.images == 27
    assert list(curve.shots_per_class) == sorted(curve.shots_per_class)
    assert curve.doubled_points.low <= curve.doubled_points.value <= curve.doubled_points.high
