"""The adapt stage on tiny synthetic pictures."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from small_adaptations import SIZE, adapt_in, split_in, write_weights
from torch import nn

from edgetl.adapt import choose_head, finetune, guards, strategy, trials
from edgetl.adapt.episode import extract
from edgetl.adapt.stage import AdaptJob, run
from edgetl.backbones.checkpoint import read_checkpoint, write_checkpoint
from edgetl.backbones.inputs import normalise
from edgetl.backbones.load import rebuild
from edgetl.backbones.spec import read_spec
from edgetl.backbones.weights import locate
from edgetl.errors import DataError, UsageError, WeightsError
from edgetl.files.durable import read_sealed
from edgetl.progress import Silent
from edgetl.recipes.recipe import Adapt, Backbone
from edgetl.report.adaptation import read_curves
from edgetl.tasks.classification.heads.head import LinearHead
from edgetl.types import Sample, Split


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Tiny networks lose more by waiting for a second thread than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _short_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network from scratch has its own tests; here it only has to be there."""
    monkeypatch.setattr("edgetl.adapt.scratch._STEPS", 2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "w.safetensors")


@pytest.fixture(scope="module")
def drawing(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights in a network with dropout and stochastic depth, as a timm folder."""
    folder: Path = tmp_path_factory.mktemp("drawing")
    chances = {"drop_rate": 0.3, "drop_path_rate": 0.2}
    config = {"architecture": "test_resnet", "model_args": chances, "num_classes": 1000}
    (folder / "config.json").write_text(json.dumps(config))
    write_checkpoint(read_checkpoint(weights), folder / "model.safetensors")
    return folder


class Notes(Silent):
    """Progress that keeps its notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def _logits(out: Path, samples: tuple[Sample, ...]) -> torch.Tensor:
    spec = read_spec(out / "network.json")
    network = rebuild(spec, out / "network.safetensors")
    pixels = torch.from_numpy(np.stack([np.asarray(Image.open(sample.path)) for sample in samples]))
    with torch.no_grad():
        logits: torch.Tensor = network(normalise(pixels.permute(0, 3, 1, 2), spec.preprocessing))
    return logits


def _top1(out: Path, samples: tuple[Sample, ...]) -> float:
    labels = torch.tensor([sample.label for sample in samples])
    return float((_logits(out, samples).argmax(1) == labels).float().mean())


def test_a_probe_learns_and_the_written_network_is_the_one_that_learnt(tmp_path: Path, weights: Path) -> None:
    split = split_in(tmp_path)
    record = adapt_in(split, weights, tmp_path / "out", strategy="probe", head="auto")
    assert record["strategy"] == "probe"
    assert record["reason"].endswith("the recipe asks for a probe.")
    assert (record["epochs"], record["history"]) == (0, {"trials": {}, "final": []})
    assert _top1(tmp_path / "out", split.val) > 0.8


def test_a_probe_changes_nothing_but_the_head(tmp_path: Path, weights: Path) -> None:
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="probe")
    before, after = read_checkpoint(weights), read_checkpoint(tmp_path / "out" / "network.safetensors")
    assert {name for name in after if not torch.equal(before[name], after[name])} == {"fc.weight", "fc.bias"}
    assert record["trained_parameters"] == after["fc.weight"].numel() + after["fc.bias"].numel()


@pytest.mark.parametrize("head", ["ncm", "cosine", "ridge", "logistic", "linear", "mlp"])
def test_every_head_is_written_into_the_classifier(tmp_path: Path, weights: Path, head: str) -> None:
    split = split_in(tmp_path)
    record = adapt_in(split, weights, tmp_path / "out", strategy="probe", head=head)
    assert record["head"].startswith(head)
    assert _top1(tmp_path / "out", split.val) > 0.5


def test_a_hidden_layer_is_fine_tuned_too_and_comes_back_from_disk(tmp_path: Path, weights: Path) -> None:
    split = split_in(tmp_path)
    record = adapt_in(split, weights, tmp_path / "out", strategy="finetune", head="mlp", train_last=1)
    assert record["strategy"] == "finetune"
    spec = read_spec(tmp_path / "out" / "network.json")
    assert (spec.classifier, spec.hidden) == ("fc.2", 256)
    assert _top1(tmp_path / "out", split.val) > 0.5


def test_fine_tuning_leaves_frozen_parameters_and_statistics_untouched(tmp_path: Path, weights: Path) -> None:
    record = adapt_in(
        split_in(tmp_path), weights, tmp_path / "out", strategy="finetune", freeze=["conv1", "bn1", "layer1", "layer2"]
    )
    assert record["strategy"] == "finetune"
    before, after = read_checkpoint(weights), read_checkpoint(tmp_path / "out" / "network.safetensors")
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in changed} == {"layer3", "layer4", "fc"}
    assert not any("running" in name or "num_batches" in name for name in changed)
    frozen = [name for name in after if name.startswith(("conv1.", "bn1.", "layer1.", "layer2."))]
    parameters = sum(after[name].numel() for name in frozen if "running" not in name and "num_batches" not in name)
    assert record["frozen_parameters"] == parameters
    assert record["trained_parts"] == ["layer3.0", "layer4.0"]


def test_train_last_says_how_many_parts_learn(tmp_path: Path, weights: Path) -> None:
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="finetune", train_last=1)
    assert record["trained_parts"] == ["layer4.0"]


def test_two_runs_are_equal_bytes_and_another_seed_is_not(tmp_path: Path, weights: Path) -> None:
    split = split_in(tmp_path)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(hash(name) % 1000)  # what happened before must not matter
        adapt_in(split, weights, tmp_path / name, strategy="finetune", seed=seed, epochs=2)
    content = [(tmp_path / name / "network.safetensors").read_bytes() for name in "abc"]
    assert content[0] == content[1]
    assert content[0] != content[2]
    assert (tmp_path / "a" / "network.json").read_bytes() == (tmp_path / "b" / "network.json").read_bytes()


def test_auto_rolls_back_when_fine_tuning_is_worse(tmp_path: Path, weights: Path) -> None:
    split = split_in(tmp_path)
    adapt_in(split, weights, tmp_path / "probe", strategy="probe")
    record = adapt_in(split, weights, tmp_path / "auto", strategy="auto", learning_rate=1.0)  # breaks any backbone
    assert record["strategy"] == "probe"
    assert "rolled back" in record["reason"] or "diverged" in record["reason"]
    assert record["epochs"] == 0
    assert {candidate["kind"] for candidate in record["candidates"]} == {"head", "finetune"}
    assert [candidate["kind"] for candidate in record["candidates"] if candidate["chosen"]] == ["head"]
    same = [(tmp_path / name / "network.safetensors").read_bytes() for name in ("probe", "auto")]
    assert same[0] == same[1]


def test_auto_keeps_fine_tuning_that_is_better(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ignorant(shots: Any, *_: Any) -> LinearHead:
        return LinearHead("logistic", np.zeros((3, shots.space.mean.size)), np.zeros(3), "")

    def unjudged(_: str, shots: Any, *__: Any) -> np.ndarray:
        return np.zeros((len(shots.labels), 3))

    monkeypatch.setattr(trials, "fit_head", lambda _, shots, __: ignorant(shots))
    monkeypatch.setattr(choose_head, "held_out_logits", unjudged)
    record = adapt_in(
        split_in(tmp_path), weights, tmp_path / "out", strategy="auto", batch_size=4, epochs=12, learning_rate=1e-3
    )
    assert record["strategy"] == "finetune"
    assert record["reason"].startswith("Fine-tuning: on 18 held-out shots")
    (chosen,) = [candidate for candidate in record["candidates"] if candidate["chosen"]]
    assert chosen["kind"] == "finetune"
    assert chosen["images"] == 18
    assert chosen["difference_points"] > 0
    assert record["epochs"] == len(record["history"]["final"])
    assert {guard["guard"]: guard["verdict"] for guard in record["guards"]}["negative transfer"] in ("pass", "warn")


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
    assert record["strategy"] == "probe"
    assert "on all shots was rolled back" in record["reason"]
    found = {guard["guard"]: guard for guard in record["guards"]}["negative transfer"]
    assert found["verdict"] == "rolled back"
    assert found["sentence"].startswith("Fine-tuning on all shots ended worse than its trials")
    same = [(tmp_path / name / "network.safetensors").read_bytes() for name in ("probe", "out")]
    assert same[0] == same[1]


def test_one_shot_a_class_is_a_probe(tmp_path: Path, weights: Path) -> None:
    record = adapt_in(split_in(tmp_path, shots=1), weights, tmp_path / "out", strategy="auto")
    assert record["strategy"] == "probe"
    assert "single shot" in record["reason"]
    states = [(candidate["kind"], candidate["state"]) for candidate in record["candidates"]]
    assert states == [("head", "not judged: nothing could be held out")]
    (too_little,) = [guard for guard in record["guards"] if guard["guard"] == "too little data"]
    assert too_little["verdict"] == "warn"
    assert "another shot, of another group, in each such class" in too_little["sentence"]
    forced = adapt_in(split_in(tmp_path, shots=1), weights, tmp_path / "forced", strategy="finetune", epochs=2)
    assert (forced["strategy"], forced["epochs"]) == ("finetune", 2)
    assert {candidate["state"] for candidate in forced["candidates"]} == {"not judged: nothing could be held out"}


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
    for module in (strategy, guards):
        monkeypatch.setattr(module, "clear_lead", lambda _: math.inf)  # no lead is clear
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="finetune", epochs=2)
    assert record["strategy"] == "finetune"
    found = {guard["guard"]: guard for guard in record["guards"]}["negative transfer"]
    assert found["verdict"] == "warn"
    assert "is not clearly better than" in found["sentence"]
    assert found["sentence"].endswith(", and was kept because the recipe asks for it.")


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
            adapt_in(split, weights, tmp_path / name, strategy="finetune", epochs=2)
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


def test_batch_norms_that_learn_take_any_number_of_shots(tmp_path: Path, weights: Path) -> None:
    settings: dict[str, Any] = {"batch_norm": "trained", "batch_size": 17, "train_last": 1, "epochs": 1}
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="finetune", **settings)  # 18 shots
    assert record["history"]["final"]


@pytest.mark.parametrize("with_dropout", [False, True])
def test_trials_that_were_kept_lead_to_the_same_network(
    tmp_path: Path, weights: Path, drawing: Path, with_dropout: bool
) -> None:
    split, source = split_in(tmp_path), drawing if with_dropout else weights
    for name in ("fresh", "kept"):
        adapt_in(split, source, tmp_path / name, strategy="finetune", epochs=2, folds=2)
    same = [(tmp_path / name / "network.safetensors").read_bytes() for name in ("fresh", "kept")]
    assert same[0] == same[1]


@pytest.mark.parametrize("with_dropout", [False, True])
def test_a_search_that_was_killed_continues_with_the_trials_it_has(
    tmp_path: Path, weights: Path, drawing: Path, with_dropout: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = split_in(tmp_path)
    weights = drawing if with_dropout else weights
    adapt_in(split, weights, tmp_path / "whole", strategy="finetune")
    (tmp_path / "cache").rename(tmp_path / "other")
    ran: list[int] = []

    def until_the_fourth(*arguments: Any, **more: Any) -> Any:
        ran.append(1)
        if len(ran) == 4:
            raise KeyboardInterrupt
        return finetune.finetune(*arguments, **more)

    monkeypatch.setattr(trials, "finetune", until_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        adapt_in(split, weights, tmp_path / "killed", strategy="finetune")
    kept = len(list((tmp_path / "cache" / "trials").iterdir()))
    assert kept == 3
    monkeypatch.setattr(trials, "finetune", finetune.finetune)
    adapt_in(split, weights, tmp_path / "again", strategy="finetune")
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
    assert first["guards"] == second["guards"]
    with pytest.raises(AssertionError, match="trained again"):
        adapt_in(split, weights, tmp_path / "third", strategy="probe", head="logistic", policy="none")


def _fail(*_: Any) -> Any:
    raise AssertionError("trained again")


def test_a_budget_too_small_for_any_fine_tuning_leaves_the_head(tmp_path: Path, weights: Path) -> None:
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", budget_minutes=1e-9)
    assert record["strategy"] == "probe"
    assert "over the budget" in record["reason"]
    assert {c["state"] for c in record["candidates"] if c["kind"] == "finetune"} == {"over budget"}


def test_weights_that_carry_nothing_are_refused(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(WeightsError, match="carry nothing"):
        adapt_in(split_in(tmp_path), _shuffled(weights, tmp_path), tmp_path / "out", strategy="probe", sanity="refuse")


def test_the_shots_decide_how_pictures_are_resized(tmp_path: Path, weights: Path) -> None:
    split = split_in(tmp_path)
    for sample in (
        *split.shots,
        *split.val,
    ):  # what tells the classes apart stands in the margin, which a crop cuts off
        inner = np.asarray(Image.open(sample.path))
        wide = np.full((SIZE, 3 * SIZE, 3), 128, np.uint8)
        wide[:, :SIZE] = inner
        Image.fromarray(wide).save(sample.path)
    backbone = Backbone(name="test_resnet", weights=str(weights), input_size=SIZE)
    settings = Adapt(strategy="probe", sanity="warn")
    job = AdaptJob(
        split, backbone, locate(backbone, tmp_path, []), settings, "none", ("crop", "squash"), tmp_path / "cache"
    )
    run(job, tmp_path, Silent())
    record = json.loads((tmp_path / "adapt.json").read_text())
    assert record["resize"]["policy"] == "squash"
    assert [candidate["policy"] for candidate in record["resize"]["candidates"]] == ["crop", "squash"]
    assert read_spec(tmp_path / "network.json").preprocessing.resize == "squash"


def test_statistics_measured_anew_are_those_of_the_pictures_as_they_are_resized(tmp_path: Path, weights: Path) -> None:
    split = split_in(tmp_path)
    for sample in (*split.shots, *split.val):  # the classes stand in the middle, beside margins of noise
        wide = np.random.default_rng(0).integers(0, 255, (SIZE, 3 * SIZE, 3), np.uint8)
        wide[:, SIZE:-SIZE] = np.asarray(Image.open(sample.path))
        Image.fromarray(wide).save(sample.path)
    backbone = Backbone(name="test_resnet", weights=str(weights), input_size=SIZE)
    settings = Adapt(strategy="probe", sanity="warn", batch_norm="reestimated")
    statistics = []
    for resizes in ((("squash", "crop")), (("crop",))):
        source, out = locate(backbone, tmp_path, []), tmp_path / resizes[0]
        out.mkdir()
        run(AdaptJob(split, backbone, source, settings, "none", resizes, tmp_path / "cache"), out, Silent())
        assert read_spec(out / "network.json").preprocessing.resize == "crop"
        tensors = read_checkpoint(out / "network.safetensors")
        statistics.append({name: tensor for name, tensor in tensors.items() if "running" in name})
    assert all(torch.equal(statistics[0][name], statistics[1][name]) for name in statistics[1])


def test_statistics_measured_anew_are_those_of_the_shots(tmp_path: Path, weights: Path) -> None:
    adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="probe", batch_norm="reestimated")
    before, after = read_checkpoint(weights), read_checkpoint(tmp_path / "out" / "network.safetensors")
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert {name for name in changed if "running_mean" in name} == {name for name in after if "running_mean" in name}
    assert not any(name.endswith("weight") for name in changed - {"fc.weight"})


def _shuffled(weights: Path, folder: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: tensor.flatten()[torch.randperm(tensor.numel(), generator=generator)].reshape(tensor.shape)
        for name, tensor in read_checkpoint(weights).items()
    }
    write_checkpoint(tensors, folder / "shuffled.safetensors")
    return folder / "shuffled.safetensors"


def test_the_record_tells_what_was_done(tmp_path: Path, weights: Path) -> None:
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="finetune", epochs=1)
    assert record["schema"] == 2
    assert record["audit"]["dropped"] == record["audit"]["new"] == ["fc.bias", "fc.weight"]
    assert record["audit"]["matched"] > 50
    assert record["device"].startswith(("cpu", "cuda"))
    assert record["augment"] == "light"
    took = json.loads((tmp_path / "out" / "run.json").read_text())
    assert took["threads"] == torch.get_num_threads()
    assert took["seconds"] > 0
    assert set(took["candidates"]) == {candidate["name"] for candidate in record["candidates"]}
    assert "seconds" not in json.dumps(record)
    state = read_checkpoint(tmp_path / "out" / "network.safetensors")
    learnable = sum(t.numel() for name, t in state.items() if "running" not in name and "num_batches" not in name)
    assert record["frozen_parameters"] + record["trained_parameters"] == learnable


def test_torch_is_left_as_it_was(tmp_path: Path, weights: Path) -> None:
    state = torch.get_rng_state()
    adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="finetune", epochs=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_changed_buffer_is_caught(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def move_statistics(network: nn.Module, **_: Any) -> None:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
                module.running_mean.add_(0.01)  # what must not happen

    monkeypatch.setattr(finetune, "set_modes", move_statistics)
    # moved statistics make a bad network, which would be rolled back before its buffers are compared
    monkeypatch.setattr("edgetl.adapt.strategy._own_top1", lambda *_: 1.0)
    with pytest.raises(AssertionError, match="running_mean"):
        adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="finetune", epochs=1)


def test_many_images_are_decoded_per_batch_with_the_same_result(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = split_in(tmp_path)
    adapt_in(split, weights, tmp_path / "a", strategy="finetune", epochs=1)
    monkeypatch.setattr("edgetl.adapt.images._MAX_RESIDENT_BYTES", 0)
    monkeypatch.setattr("edgetl.adapt.inputs._MAX_RESIDENT_BYTES", 0)
    adapt_in(split, weights, tmp_path / "b", strategy="finetune", epochs=1)
    assert (tmp_path / "a/network.safetensors").read_bytes() == (tmp_path / "b/network.safetensors").read_bytes()


def test_a_class_without_a_shot_is_refused(tmp_path: Path, weights: Path) -> None:
    split = split_in(tmp_path)
    short = Split(split.classes, split.shots[:12], split.val, (), "squash", "", "")
    with pytest.raises(DataError, match="none of dots"):
        adapt_in(short, weights, tmp_path / "out")


def test_a_head_that_is_not_linear_is_refused(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = timm.create_model

    def clipped(*arguments: Any, **settings: Any) -> nn.Module:
        network: nn.Module = original(*arguments, **settings)
        network.register_forward_hook(lambda *parts: parts[2].clamp(min=0))
        return network

    monkeypatch.setattr("timm.create_model", clipped)
    with pytest.raises(UsageError, match="not linear"):
        adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="probe")


def test_the_report_reads_the_curves_as_they_are_written(weights: Path, tmp_path: Path) -> None:
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="finetune", train_last=1, folds=2)
    tried, final = read_curves(record, record["history"])
    assert len(tried.train) == len(tried.held_out) == 3
    assert all(map(math.isfinite, tried.held_out))
    assert all(map(math.isnan, final.held_out))
