"""The adapt stage on tiny synthetic pictures: the network that is written, and the record."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from small_adaptations import SIZE, adapt_in, split_in
from torch import nn

from edgetl.adapt import finetune
from edgetl.adapt.record import History
from edgetl.backbones.checkpoint import read_checkpoint, write_checkpoint
from edgetl.backbones.load import rebuild
from edgetl.backbones.pixels import normalize
from edgetl.backbones.spec import read_spec
from edgetl.errors import DataError, UsageError, WeightsError
from edgetl.report.adaptation import curves
from edgetl.types import ResizePolicy, Sample, Split

pytestmark = [pytest.mark.stage, pytest.mark.usefixtures("one_thread", "short_baseline")]


def _logits(out: Path, samples: tuple[Sample, ...]) -> torch.Tensor:
    spec = read_spec(out / "network.json")
    network = rebuild(spec, out / "network.safetensors")
    pixels = torch.from_numpy(np.stack([np.asarray(Image.open(sample.path)) for sample in samples]))
    with torch.no_grad():
        logits: torch.Tensor = network(normalize(pixels.permute(0, 3, 1, 2), spec.image))
    return logits


def _top1(out: Path, samples: tuple[Sample, ...]) -> float:
    labels = torch.tensor([sample.label for sample in samples])
    return float((_logits(out, samples).argmax(1) == labels).float().mean())


def test_a_probe_learns_and_the_written_network_is_the_one_that_learned(tmp_path: Path, weights: Path) -> None:
    split = split_in(tmp_path)
    record = adapt_in(split, weights, tmp_path / "out", strategy="probe", head="auto")
    assert record.strategy == "probe"
    assert record.reason.endswith("the recipe asks for a probe.")
    assert (record.epochs, record.history) == (0, History())
    assert _top1(tmp_path / "out", split.val) > 0.8


def test_a_probe_changes_nothing_but_the_head(tmp_path: Path, weights: Path) -> None:
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="probe")
    before, after = read_checkpoint(weights), read_checkpoint(tmp_path / "out" / "network.safetensors")
    assert {name for name in after if not torch.equal(before[name], after[name])} == {"fc.weight", "fc.bias"}
    assert record.trained_parameters == after["fc.weight"].numel() + after["fc.bias"].numel()


@pytest.mark.parametrize("head", ["ncm", "cosine", "ridge", "logistic"])
def test_every_head_is_written_into_the_classifier(tmp_path: Path, weights: Path, head: str) -> None:
    split = split_in(tmp_path)
    record = adapt_in(split, weights, tmp_path / "out", strategy="probe", head=head)
    assert record.head.startswith(head)
    assert _top1(tmp_path / "out", split.val) > 0.5


def test_fine_tuning_leaves_frozen_parameters_and_statistics_untouched(tmp_path: Path, weights: Path) -> None:
    record = adapt_in(
        split_in(tmp_path), weights, tmp_path / "out", strategy="finetune", freeze=["conv1", "bn1", "layer1", "layer2"]
    )
    assert record.strategy == "finetune"
    before, after = read_checkpoint(weights), read_checkpoint(tmp_path / "out" / "network.safetensors")
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in changed} == {"layer3", "layer4", "fc"}
    assert not any("running" in name or "num_batches" in name for name in changed)
    frozen = [name for name in after if name.startswith(("conv1.", "bn1.", "layer1.", "layer2."))]
    parameters = sum(after[name].numel() for name in frozen if "running" not in name and "num_batches" not in name)
    assert record.frozen_parameters == parameters
    assert record.trained_parts == ("layer3.0", "layer4.0")


def test_train_last_says_how_many_parts_learn(tmp_path: Path, weights: Path) -> None:
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="finetune", train_last=1)
    assert record.trained_parts == ("layer4.0",)


def test_two_runs_are_equal_bytes_and_another_seed_is_not(tmp_path: Path, weights: Path) -> None:
    split = split_in(tmp_path)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(hash(name) % 1000)  # what happened before must not matter
        adapt_in(split, weights, tmp_path / name, strategy="finetune", seed=seed, epochs=1)
    content = [(tmp_path / name / "network.safetensors").read_bytes() for name in "abc"]
    assert content[0] == content[1]
    assert content[0] != content[2]
    assert (tmp_path / "a" / "network.json").read_bytes() == (tmp_path / "b" / "network.json").read_bytes()


def test_weights_that_carry_nothing_are_refused(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(WeightsError, match="carry no information"):
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
    split = replace(split, resize="crop")  # what suits their shape
    images = {"augment": "none", "resize": "auto"}
    record = adapt_in(split, weights, tmp_path / "out", data=images, strategy="probe", head="auto")
    assert record.resize is not None
    assert record.resize.policy == "squash"
    assert [candidate.policy for candidate in record.resize.candidates] == ["crop", "squash"]
    assert read_spec(tmp_path / "out" / "network.json").image.resize == "squash"


def test_statistics_measured_anew_are_those_of_the_pictures_as_they_are_resized(tmp_path: Path, weights: Path) -> None:
    split = split_in(tmp_path)
    for sample in (*split.shots, *split.val):  # the classes stand in the middle, beside margins of noise
        wide = np.random.default_rng(0).integers(0, 255, (SIZE, 3 * SIZE, 3), np.uint8)
        wide[:, SIZE:-SIZE] = np.asarray(Image.open(sample.path))
        Image.fromarray(wide).save(sample.path)
    statistics = []
    cases: tuple[tuple[str, ResizePolicy], ...] = (("auto", "squash"), ("crop", "crop"))
    for resize, suits in cases:
        out, shaped = tmp_path / resize, replace(split, resize=suits)
        images = {"augment": "none", "resize": resize}
        adapt_in(shaped, weights, out, data=images, strategy="probe", head="auto", batch_norm="reestimated")
        assert read_spec(out / "network.json").image.resize == "crop"
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
    assert record.audit.dropped == record.audit.new == ("fc.bias", "fc.weight")
    assert record.audit.matched > 50
    assert record.device.startswith(("cpu", "cuda"))
    assert record.augment == "light"
    assert record.threads == torch.get_num_threads()
    assert record.seconds is not None
    assert record.seconds > 0
    assert all(candidate.seconds is not None for candidate in record.candidates)
    assert "seconds" not in (tmp_path / "out" / "adapt.json").read_text()
    state = read_checkpoint(tmp_path / "out" / "network.safetensors")
    learnable = sum(t.numel() for name, t in state.items() if "running" not in name and "num_batches" not in name)
    assert record.frozen_parameters + record.trained_parameters == learnable


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
    monkeypatch.setattr("edgetl.fronts.pixels.MOST_BYTES", 0)
    monkeypatch.setattr("edgetl.adapt.inputs.MOST_BYTES", 0)
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
    with pytest.raises(UsageError, match="nonlinear operator"):
        adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="probe")


def test_the_report_reads_the_curves_as_they_are_written(weights: Path, tmp_path: Path) -> None:
    record = adapt_in(split_in(tmp_path), weights, tmp_path / "out", strategy="finetune", train_last=1)
    tried, final = curves(record, record.history)
    assert len(tried.train) == len(tried.held_out) == 2
    assert all(map(math.isfinite, tried.held_out))
    assert all(map(math.isnan, final.held_out))
