"""What a search keeps on disk serves the next run, and a killed one continues."""

from __future__ import annotations

import json
import math
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from small_adaptations import adapt_in, split_in

from edgetl.adapt import finetune, trials
from edgetl.files.durable import read_sealed
from edgetl.types import Silent

pytestmark = [pytest.mark.stage, pytest.mark.usefixtures("one_thread", "short_baseline")]


class Notes(Silent):
    """Progress that keeps its notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def test_two_threads_train_several_trials_at_once_and_two_runs_are_equal_bytes(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split, seen = split_in(tmp_path), set[int]()
    original = finetune.finetune

    def noted(*arguments: Any, **more: Any) -> Any:
        seen.add(threading.get_ident())
        assert torch.get_num_threads() == 1
        return original(*arguments, **more)

    monkeypatch.setattr(trials, "finetune", noted)
    torch.set_num_threads(2)
    try:
        for name in ("a", "b"):
            adapt_in(split, weights, tmp_path / name, strategy="finetune", train_last=1, epochs=1)
            (tmp_path / "cache").rename(tmp_path / f"cache-{name}")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert seen
    assert threading.get_ident() not in seen
    files = [
        {path.name: _without_times(path) for path in (tmp_path / f"cache-{name}/trials").iterdir()} for name in "ab"
    ]
    assert files[0] == files[1]
    for name in ("network.safetensors", "network.json", "adapt.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_cache_bit_flip_in_features_and_trials_gives_the_same_network_and_a_line_each(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case cache-bit-flip: one bit of everything that is kept of a search flips, then the search runs again."""
    monkeypatch.setattr("edgetl.adapt.verdicts.GUARD_SHARE", math.inf)
    split, notes = split_in(tmp_path), Notes()
    quick: dict[str, Any] = {"strategy": "finetune", "epochs": 1, "train_last": 1, "head": "ncm"}
    adapt_in(split, weights, tmp_path / "a", **quick)
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.suffix in (".npy", ".kept")]
    assert {path.parent.name for path in kept} == {"features", "judged", "trials"}
    for path in kept:
        data = bytearray(path.read_bytes())
        data[len(data) * 3 // 4] ^= 0x20
        path.write_bytes(data)
    adapt_in(split, weights, tmp_path / "b", progress=notes, **quick)
    assert (tmp_path / "a/network.safetensors").read_bytes() == (tmp_path / "b/network.safetensors").read_bytes()
    told = [line for line in notes.lines if "damaged on disk; computed again" in line]
    assert {line.partition(":")[0] for line in told} == {"/".join(path.parts[-3:]) for path in kept}
    assert len(told) == len(kept)


def _without_times(trial: Path) -> Any:
    record = json.loads(read_sealed(trial))
    return record["logits"], [{**epoch, "seconds": 0} for epoch in record["history"]]


@pytest.mark.parametrize("with_dropout", [False, True])
def test_trials_that_were_kept_lead_to_the_same_network(
    tmp_path: Path, weights: Path, drawing: Path, with_dropout: bool
) -> None:
    split, source = split_in(tmp_path), drawing if with_dropout else weights
    for name in ("fresh", "kept"):
        adapt_in(split, source, tmp_path / name, strategy="finetune", epochs=1)
    same = [(tmp_path / name / "network.safetensors").read_bytes() for name in ("fresh", "kept")]
    assert same[0] == same[1]


@pytest.mark.parametrize("with_dropout", [False, True])
def test_a_search_that_was_killed_continues_with_the_trials_it_has(
    tmp_path: Path, weights: Path, drawing: Path, with_dropout: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = split_in(tmp_path)
    weights = drawing if with_dropout else weights
    adapt_in(split, weights, tmp_path / "whole", strategy="finetune", epochs=1)
    (tmp_path / "cache").rename(tmp_path / "other")
    ran: list[int] = []

    def until_the_fourth(*arguments: Any, **more: Any) -> Any:
        ran.append(1)
        if len(ran) == 4:
            raise KeyboardInterrupt
        return finetune.finetune(*arguments, **more)

    monkeypatch.setattr(trials, "finetune", until_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        adapt_in(split, weights, tmp_path / "killed", strategy="finetune", epochs=1)
    kept = len(list((tmp_path / "cache" / "trials").iterdir()))
    assert kept == 3
    monkeypatch.setattr(trials, "finetune", finetune.finetune)
    adapt_in(split, weights, tmp_path / "again", strategy="finetune", epochs=1)
    same = [(tmp_path / name / "network.safetensors").read_bytes() for name in ("whole", "again")]
    assert same[0] == same[1]


def test_a_second_head_on_the_same_pictures_trains_no_baseline_again(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetl.adapt.verdicts.GUARD_SHARE", math.inf)  # so small a network costs less than its guard
    split = split_in(tmp_path)
    first = adapt_in(split, weights, tmp_path / "first", strategy="probe", head="logistic")
    monkeypatch.setattr("edgetl.adapt.scratch._train", _fail)
    second = adapt_in(split, weights, tmp_path / "second", strategy="probe", head="logistic")
    assert first.guards == second.guards
    with pytest.raises(AssertionError, match="trained again"):
        adapt_in(split, weights, tmp_path / "third", strategy="probe", head="logistic", data={"augment": "none"})


def _fail(*_: Any) -> Any:
    raise AssertionError("trained again")
