"""Adapting a detector: what it writes, that equal runs give equal bytes, and what stays unchanged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_detections import CLASSES, adapt_in, split_in

from edgetl.backbones.checkpoint import read_checkpoint
from edgetl.errors import DataError, UsageError
from edgetl.tasks.detection.networks.build import rebuild
from edgetl.tasks.detection.spec import read_detector_spec
from edgetl.types import Split

pytestmark = [pytest.mark.stage, pytest.mark.usefixtures("one_thread")]
FILES = ("network.safetensors", "network.json", "adapt.json")


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    return split_in(tmp_path_factory.mktemp("images"))


def test_an_adaptation_is_recorded_and_repeats_to_the_byte(split: Split, weights: Path, tmp_path: Path) -> None:
    record = adapt_in(split, weights, tmp_path / "one", strategy="auto")
    assert [candidate.name for candidate in record.candidates] == ["head, rate 0.01", "last stages, rate 0.01"]
    assert all(candidate.state == "judged" and candidate.images == 8 for candidate in record.candidates)
    assert record.chosen.name in record.reason
    assert record.objects == {"bright": 8, "dark": 8}
    assert [guard.guard for guard in record.guards] == [
        "negative transfer",
        "overfitting",
        "too little data",
        "small objects",
    ]
    assert record.seconds is not None
    detector = rebuild(read_detector_spec(tmp_path / "one/network.json"), tmp_path / "one/network.safetensors")
    boxes, scores = detector(torch.zeros(1, 3, 64, 64))
    assert (boxes.shape, scores.shape) == ((1, 84, 4), (1, 84, len(CLASSES)))
    adapt_in(split, weights, tmp_path / "two", strategy="auto")
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert "seconds" not in json.loads((tmp_path / "one/adapt.json").read_text())


def test_a_probe_leaves_the_backbone_as_it_was_pretrained(split: Split, weights: Path, tmp_path: Path) -> None:
    record = adapt_in(split, weights, tmp_path / "out", strategy="probe")
    assert [candidate.name for candidate in record.candidates] == ["head, rate 0.01"]
    pretrained, trained = read_checkpoint(weights), read_checkpoint(tmp_path / "out/network.safetensors")
    backbone = {name: each for name, each in trained.items() if name.startswith("network.backbone.body.")}
    assert backbone
    for name, tensor in backbone.items():
        assert torch.equal(tensor, pretrained[name.removeprefix("network.backbone.body.")]), name


def test_finetuning_trains_the_last_stages_and_no_statistics(split: Split, weights: Path, tmp_path: Path) -> None:
    adapt_in(split, weights, tmp_path / "out", strategy="finetune")
    pretrained, trained = read_checkpoint(weights), read_checkpoint(tmp_path / "out/network.safetensors")
    start = "network.backbone.body."
    moved = {
        name.removeprefix(start)
        for name, each in trained.items()
        if name.startswith(start) and not torch.equal(each, pretrained[name.removeprefix(start)])
    }
    assert {name.partition(".")[0] for name in moved} == {"layer3", "layer4"}
    assert not [name for name in moved if "running" in name or "tracked" in name]


def test_frozen_parts_of_the_recipe_stay_unchanged(split: Split, weights: Path, tmp_path: Path) -> None:
    adapt_in(
        split, weights, tmp_path / "out", strategy="finetune", freeze=["conv1", "bn1", "layer1", "layer2", "layer3"]
    )
    pretrained, trained = read_checkpoint(weights), read_checkpoint(tmp_path / "out/network.safetensors")
    assert torch.equal(trained["network.backbone.body.layer3.0.conv1.weight"], pretrained["layer3.0.conv1.weight"])
    with pytest.raises(UsageError, match=r"adapt\.freeze: no parameter under `layer9`; the backbone's parts are"):
        adapt_in(split, weights, tmp_path / "other", freeze=["layer9"])


def test_a_search_over_its_budget_trains_the_first_way_without_holding_out(
    split: Split, weights: Path, tmp_path: Path
) -> None:
    record = adapt_in(split, weights, tmp_path / "out", budget_minutes=1e-9)
    assert {candidate.state for candidate in record.candidates} == {"over budget"}
    assert record.candidates[0].chosen
    assert "over the budget" in record.reason
    assert [guard.verdict for guard in record.guards[:2]] == ["not measured", "not measured"]


def test_training_is_longer_where_trials_find_little_and_the_budget_allows_it(
    split: Split, weights: Path, tmp_path: Path
) -> None:
    longer = adapt_in(split, weights, tmp_path / "longer", strategy="probe")
    within = adapt_in(
        split, weights, tmp_path / "within", strategy="probe", budget_minutes=longer.budget.estimated_minutes
    )
    assert longer.chosen.utility is not None
    assert longer.chosen.utility.value < 0.1
    assert longer.steps == 2 * within.steps
    assert "trained for longer" in longer.reason
    assert "longer" in longer.budget.sentence
    assert "longer" not in within.reason + within.budget.sentence


def test_a_class_in_one_image_cannot_be_held_out(split: Split, weights: Path, tmp_path: Path) -> None:
    shots = tuple(
        replace(each, truth=tuple(box for box in each.boxes if box.label == 0 or number == 0))
        for number, each in enumerate(split.shots)
    )
    record = adapt_in(replace(split, shots=shots), weights, tmp_path / "out")
    assert record.folds == 0
    assert "nothing could be held out" in record.reason
    assert "all objects of dark are in one image" in record.guards[2].sentence


def test_a_class_without_objects_is_refused(split: Split, weights: Path, tmp_path: Path) -> None:
    shots = tuple(replace(each, truth=each.boxes[:1]) for each in split.shots)
    with pytest.raises(DataError, match=r"no object of dark; raise data\.shots or label more"):
        adapt_in(replace(split, shots=shots), weights, tmp_path / "out")


def test_a_training_that_diverges_is_no_detector(
    split: Split, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetl.adapt.detection.search.train", lambda *_: [1.0, float("nan")])
    with pytest.raises(UsageError, match=r"adapt\.learning_rate: .* diverged after 2 steps; choose a lower rate"):
        adapt_in(split, weights, tmp_path / "out")
    assert not (tmp_path / "out/network.safetensors").exists()
