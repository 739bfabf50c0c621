"""The adapt stage on tiny synthetic pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import nn

from edgetl.adapt import finetune, strategy
from edgetl.adapt.finetune import Judgement
from edgetl.adapt.probe import Probe
from edgetl.adapt.stage import run
from edgetl.adapt.strategy import is_better
from edgetl.backbones.checkpoint import read_checkpoint, write_checkpoint
from edgetl.backbones.inputs import normalise
from edgetl.backbones.load import rebuild
from edgetl.backbones.spec import read_spec
from edgetl.backbones.weights import locate
from edgetl.errors import DataError, UsageError
from edgetl.progress import Silent
from edgetl.recipe import Adapt, Backbone
from edgetl.types import Sample, Split

SIZE = 32
CLASSES = ("stripes", "bars", "dots")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Tiny networks lose more by waiting for a second thread than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _picture(label: int, generator: np.random.Generator) -> np.ndarray:
    """Stripes, bars or dots of random phase and brightness, with noise."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + generator.integers(0, 8)
    pattern = [rows // 4 % 2, columns // 4 % 2, (rows // 4 + columns // 4) % 2][label]
    grey = 60 + pattern * generator.uniform(80, 140) + generator.normal(0, 12, (SIZE, SIZE))
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[:, :, None], 3, 2)


def _samples(folder: Path, shots: int, seed: int, classes: int = 3) -> tuple[Sample, ...]:
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(seed)
    samples = []
    for label in range(classes):
        for number in range(shots):
            path = folder / f"{label}-{number}.png"
            Image.fromarray(_picture(label, generator)).save(path)
            samples.append(Sample(str(path), label, hashlib.sha256(path.read_bytes()).hexdigest()))
    return tuple(samples)


def _split(tmp_path: Path, shots: int = 6) -> Split:
    val = _samples(tmp_path / "val", 8, seed=1)
    return Split(CLASSES, _samples(tmp_path / "shots", shots, seed=0), val, (), "squash", "square", "digest")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with batch-norm statistics that are not the identity."""
    torch.manual_seed(0)
    network = timm.create_model("test_resnet").train()
    with torch.no_grad():
        for _ in range(20):
            network(torch.randn(8, 3, SIZE, SIZE))
    path: Path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    write_checkpoint(network.state_dict(), path)
    return path


def _run(split: Split, weights: Path, out: Path, **config: Any) -> dict[str, Any]:
    out.mkdir()
    backbone = Backbone(name="test_resnet", weights=str(weights), input_size=SIZE)
    settings = Adapt.model_validate({"epochs": 3, "learning_rate": 1e-4, **config})
    run(split, backbone, locate(backbone, out, []), settings, "light", out, Silent())
    record: dict[str, Any] = json.loads((out / "adapt.json").read_text())
    return record


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
    split = _split(tmp_path)
    record = _run(split, weights, tmp_path / "out", strategy="probe")
    assert record["strategy"] == "probe"
    assert record["reason"] == "Probe: the recipe asks for a probe."
    assert (record["epochs"], record["history"]) == (0, {"trials": [], "final": []})
    assert _top1(tmp_path / "out", split.val) > 0.8


def test_a_probe_changes_nothing_but_the_head(tmp_path: Path, weights: Path) -> None:
    record = _run(_split(tmp_path), weights, tmp_path / "out", strategy="probe")
    before, after = read_checkpoint(weights), read_checkpoint(tmp_path / "out" / "network.safetensors")
    assert {name for name in after if not torch.equal(before[name], after[name])} == {"fc.weight", "fc.bias"}
    assert record["trained_parameters"] == after["fc.weight"].numel() + after["fc.bias"].numel()


def test_fine_tuning_leaves_frozen_parameters_and_statistics_untouched(tmp_path: Path, weights: Path) -> None:
    record = _run(
        _split(tmp_path), weights, tmp_path / "out", strategy="finetune", freeze=["conv1", "bn1", "layer1", "layer2"]
    )
    assert record["strategy"] == "finetune"
    before, after = read_checkpoint(weights), read_checkpoint(tmp_path / "out" / "network.safetensors")
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in changed} == {"layer3", "layer4", "fc"}
    assert not any("running" in name or "num_batches" in name for name in changed)
    frozen = [name for name in after if name.startswith(("conv1.", "bn1.", "layer1.", "layer2."))]
    parameters = sum(after[name].numel() for name in frozen if "running" not in name and "num_batches" not in name)
    assert record["frozen_parameters"] == parameters
    assert record["frozen_prefixes"] == ["conv1", "bn1", "layer1", "layer2"]


def test_two_runs_are_equal_bytes_and_another_seed_is_not(tmp_path: Path, weights: Path) -> None:
    split = _split(tmp_path)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(hash(name) % 1000)  # what happened before must not matter
        _run(split, weights, tmp_path / name, strategy="finetune", seed=seed, epochs=2)
    content = [(tmp_path / name / "network.safetensors").read_bytes() for name in "abc"]
    assert content[0] == content[1]
    assert content[0] != content[2]
    assert (tmp_path / "a" / "network.json").read_bytes() == (tmp_path / "b" / "network.json").read_bytes()


def test_auto_rolls_back_when_fine_tuning_is_worse(tmp_path: Path, weights: Path) -> None:
    split = _split(tmp_path)
    probe = _run(split, weights, tmp_path / "probe", strategy="probe")
    record = _run(split, weights, tmp_path / "auto", strategy="auto", learning_rate=1.0)  # breaks any backbone
    assert record["strategy"] == probe["strategy"] == "probe"
    assert "rolled back" in record["reason"] or "diverged" in record["reason"]
    assert record["epochs"] == 0
    assert [candidate["name"] for candidate in record["candidates"]] == ["probe", "finetune"]
    same = [(tmp_path / name / "network.safetensors").read_bytes() for name in ("probe", "auto")]
    assert same[0] == same[1]


def test_auto_keeps_fine_tuning_that_is_better(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ignorant(views: Any, labels: Any, num_classes: int, *, seed: int) -> Probe:
        return Probe(np.zeros((num_classes, views.shape[-1])), np.zeros(num_classes), 1.0)

    monkeypatch.setattr(strategy, "fit_probe", ignorant)
    record = _run(_split(tmp_path), weights, tmp_path / "out", strategy="auto", batch_size=4, epochs=8)
    assert record["strategy"] == "finetune"
    losses = np.mean([[epoch["held_out"]["loss"] for epoch in trial] for trial in record["history"]["trials"]], 0)
    assert record["epochs"] == len(record["history"]["final"]) == int(losses.argmin()) + 1
    assert record["reason"].startswith("Fine-tuning: on ")


def test_a_final_run_that_fails_is_rolled_back_too(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = _split(tmp_path)
    _run(split, weights, tmp_path / "probe", strategy="probe")
    original = finetune.finetune

    def broken_on_all_shots(network: nn.Module, shots: Any, train: Any, held_out: Any, *rest: Any, **more: Any) -> Any:
        history = original(network, shots, train, held_out, *rest, **more)
        if not held_out:
            network.get_parameter("fc.weight").data.fill_(float("nan"))
        return history

    monkeypatch.setattr(strategy, "finetune", broken_on_all_shots)
    record = _run(split, weights, tmp_path / "out", strategy="finetune")
    assert record["strategy"] == "probe"
    assert "on all shots was rolled back" in record["reason"]
    same = [(tmp_path / name / "network.safetensors").read_bytes() for name in ("probe", "out")]
    assert same[0] == same[1]


def test_one_shot_a_class_is_a_probe(tmp_path: Path, weights: Path) -> None:
    record = _run(_split(tmp_path, shots=1), weights, tmp_path / "out", strategy="auto")
    assert record["strategy"] == "probe"
    assert "single shot" in record["reason"]
    forced = _run(_split(tmp_path, shots=1), weights, tmp_path / "forced", strategy="finetune", epochs=2)
    assert (forced["strategy"], forced["epochs"]) == ("finetune", 2)


def test_training_stops_when_patience_is_over(tmp_path: Path, weights: Path) -> None:
    record = _run(_split(tmp_path), weights, tmp_path / "out", learning_rate=1.0, epochs=50, patience=2)
    assert all(len(trial) < 50 for trial in record["history"]["trials"])


def test_the_record_tells_what_was_done(tmp_path: Path, weights: Path) -> None:
    record = _run(_split(tmp_path), weights, tmp_path / "out", strategy="finetune", epochs=1)
    assert record["schema"] == 1
    assert record["audit"]["dropped"] == record["audit"]["new"] == ["fc.bias", "fc.weight"]
    assert record["audit"]["matched"] > 50
    assert record["device"].startswith(("cpu", "cuda"))
    assert record["threads"] == torch.get_num_threads()
    assert record["augment"] == "light"
    assert record["seconds"] > 0
    state = read_checkpoint(tmp_path / "out" / "network.safetensors")
    learnable = sum(t.numel() for name, t in state.items() if "running" not in name and "num_batches" not in name)
    assert record["frozen_parameters"] + record["trained_parameters"] == learnable


def test_torch_is_left_as_it_was(tmp_path: Path, weights: Path) -> None:
    state = torch.get_rng_state()
    _run(_split(tmp_path), weights, tmp_path / "out", strategy="finetune", epochs=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_changed_buffer_is_caught(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetune, "set_modes", lambda network: network.train())  # what must not happen
    with pytest.raises(AssertionError, match="running_mean"):
        _run(_split(tmp_path), weights, tmp_path / "out", strategy="finetune", epochs=1)


def test_many_images_are_decoded_per_batch_with_the_same_result(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = _split(tmp_path)
    _run(split, weights, tmp_path / "a", strategy="finetune", epochs=1)
    monkeypatch.setattr("edgetl.adapt.images._MAX_RESIDENT_BYTES", 0)
    _run(split, weights, tmp_path / "b", strategy="finetune", epochs=1)
    assert (tmp_path / "a/network.safetensors").read_bytes() == (tmp_path / "b/network.safetensors").read_bytes()


def test_a_class_without_a_shot_is_refused(tmp_path: Path, weights: Path) -> None:
    split = _split(tmp_path)
    short = Split(split.classes, split.shots[:12], split.val, (), "squash", "", "")
    with pytest.raises(DataError, match="none of dots"):
        _run(short, weights, tmp_path / "out")


def test_a_head_that_is_not_linear_is_refused(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = timm.create_model

    def clipped(*arguments: Any, **settings: Any) -> nn.Module:
        network: nn.Module = original(*arguments, **settings)
        network.register_forward_hook(lambda *parts: parts[2].clamp(min=0))
        return network

    monkeypatch.setattr("timm.create_model", clipped)
    with pytest.raises(UsageError, match="not linear"):
        _run(_split(tmp_path), weights, tmp_path / "out", strategy="probe")


def test_accuracy_decides_and_loss_breaks_the_tie() -> None:
    assert is_better(Judgement(9.0, 0.8), Judgement(0.1, 0.7))
    assert is_better(Judgement(0.1, 0.7), Judgement(0.2, 0.7))
    assert not is_better(Judgement(0.2, 0.7), Judgement(0.2, 0.7))
    assert not is_better(Judgement(float("nan"), 0.7), Judgement(0.2, 0.7))
