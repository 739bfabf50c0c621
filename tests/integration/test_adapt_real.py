"""The adapt stage on real images with a real pretrained network."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import small_run

from edgetl.adapt.adapt import adapt_network
from edgetl.adapt.record import AdaptRecord, read_adapt
from edgetl.backbones.checkpoint import read_checkpoint, write_checkpoint
from edgetl.backbones.load import build, rebuild
from edgetl.backbones.pixels import normalize
from edgetl.backbones.spec import read_spec
from edgetl.backbones.weights import locate
from edgetl.data.split import make_split
from edgetl.errors import WeightsError
from edgetl.fronts.batches import batches
from edgetl.recipes.data import Data
from edgetl.recipes.recipe import Adapt, Backbone
from edgetl.types import Split
from edgetl.types.findings import Audit

pytestmark = pytest.mark.integration


def _split(shared: Path, name: str, shots: int, val: int) -> Split:
    folder = shared / "data" / name
    data = Data(train=str(folder / "train"), val=str(folder / "val"), shots=shots, max_val_images=val)
    return make_split(data, folder)


def _adapt(split: Split, shared: Path, backbone: Backbone, config: Adapt, out: Path) -> AdaptRecord:
    data = {"train": ".", "augment": "natural", "resize": "squash"}
    run = small_run(replace(split, resize="squash"), out, data=data, backbone=backbone, adapt=config)
    adapt_network(run, locate(backbone, out, [shared / "weights"]), out)
    return read_adapt(out)


def _top1(folder: Path, split: Split) -> float:
    spec = read_spec(folder / "network.json")
    network = rebuild(spec, folder / "network.safetensors")
    rows = []
    with torch.inference_mode():
        for pixels in batches(split.val, spec.image, 16):
            images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
            rows.append(network(normalize(images, spec.image)).argmax(1).numpy())
    return float((np.concatenate(rows) == [sample.label for sample in split.val]).mean())


def test_a_probe_on_a_real_backbone_recognizes_steel_defects(shared: Path, tmp_path: Path) -> None:
    split = _split(shared, "neu_steel", shots=10, val=120)
    record = _adapt(split, shared, Backbone(name="mobilenetv2_100"), Adapt(strategy="probe", views=1), tmp_path)
    assert _top1(tmp_path, split) >= 0.92
    classifier = ("classifier.bias", "classifier.weight")
    assert record.audit == Audit(matched=312, dropped=classifier, new=classifier)
    assert json.loads((tmp_path / "network.json").read_text())["model_args"] == {"pad_type": "same"}


def test_a_convolution_as_classifier_learns_too(shared: Path, tmp_path: Path) -> None:
    split = _split(shared, "hymenoptera", shots=10, val=60)
    config = Adapt(strategy="auto", epochs=2, learning_rate=1e-4, views=2)
    _adapt(split, shared, Backbone(name="tv_squeezenet1_1"), config, tmp_path)
    assert _top1(tmp_path, split) >= 0.75


def test_hand_signs_are_fine_tuned_and_all_guards_are_told(shared: Path, tmp_path: Path) -> None:
    split = _split(shared, "sign_digits", shots=5, val=100)
    config = Adapt(epochs=5, views=4, folds=3)
    record = _adapt(split, shared, Backbone(name="mobilenetv2_100", input_size=96), config, tmp_path)
    assert [guard.guard for guard in record.guards] == [
        "sanity probe",
        "negative transfer",
        "overfitting",
        "too little data",
    ]
    assert record.guards[0].verdict == "pass"
    (chosen,) = [candidate for candidate in record.candidates if candidate.chosen]
    assert chosen.kind == ("finetune" if record.strategy == "finetune" else "head")
    assert _top1(tmp_path, split) >= 0.55


@pytest.mark.parametrize("name", ["neu_steel", "rsscn7"])
def test_shuffled_weights_are_caught_by_the_sanity_probe(shared: Path, tmp_path: Path, name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        key: tensor.flatten()[torch.randperm(tensor.numel(), generator=generator)].reshape(tensor.shape)
        for key, tensor in read_checkpoint(shared / "weights" / "mobilenetv2_100" / "model.safetensors").items()
    }
    folder = tmp_path / "weights" / "mobilenetv2_100"
    folder.mkdir(parents=True)
    shutil.copy(shared / "weights" / "mobilenetv2_100" / "config.json", folder)
    write_checkpoint(tensors, folder / "model.safetensors")
    split = _split(shared, name, shots=5, val=7)
    with pytest.raises(WeightsError, match="carry no information"):
        _adapt(split, tmp_path, Backbone(name="mobilenetv2_100"), Adapt(strategy="probe", views=0), tmp_path)


@pytest.mark.parametrize("name", ["resnet50", "tv_resnet50", "tf_mobilenetv3_small_100"])
def test_real_checkpoints_pass_the_audit(shared: Path, tmp_path: Path, name: str) -> None:
    backbone = Backbone(name=name, input_size=64)
    _, _, audit = build(backbone, locate(backbone, tmp_path, [shared / "weights"]), 5, "squash")
    assert len(audit.dropped) == len(audit.new) == 2


def test_real_weights_do_not_pass_for_another_architecture(shared: Path, tmp_path: Path) -> None:
    weights = str(shared / "weights" / "resnet50" / "model.safetensors")
    for name in ("resnet34", "tv_resnet18", "mobilenetv2_100"):
        backbone = Backbone(name=name, weights=weights)
        with pytest.raises(WeightsError, match="these weights do not fit"):
            build(backbone, locate(backbone, tmp_path, []), 5, "squash")


def test_a_network_survives_being_written_and_read(shared: Path, tmp_path: Path) -> None:
    backbone = Backbone(name="mobilenetv2_100", input_size=96)
    network, spec, _ = build(backbone, locate(backbone, tmp_path, [shared / "weights"]), 5, "squash")
    write_checkpoint(network.state_dict(), tmp_path / "n.safetensors")
    inputs = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(rebuild(spec, tmp_path / "n.safetensors")(inputs), network(inputs))
