"""MobileNetV3 on real photographs: without h-swish and gates, and as accurate as before after a short training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_runs import small_run
from torch import Tensor, nn

from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.classifier import features, set_head
from edgetl.backbones.load import build, construct, rebuild
from edgetl.backbones.replaceable import operate, replaceable
from edgetl.backbones.spec import read_spec, write_spec
from edgetl.backbones.weights import locate
from edgetl.fronts.batches import load_batch
from edgetl.fronts.image.normalize import normalize
from edgetl.quant.simplify.simplify import simplify_network
from edgetl.recipes.recipe import Backbone
from edgetl.types import NetworkSpec, Sample, Split
from edgetl.types.findings import Replaceable

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SIZE = 128  # of the network's 224: a third of the time


def _samples(folder: Path, per_class: int) -> tuple[Sample, ...]:
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    return tuple(
        Sample(str(path), label, "")
        for label, one in enumerate(classes)
        for path in sorted(one.glob("*.jpg"))[:per_class]
    )


def _inputs(samples: tuple[Sample, ...], spec: NetworkSpec) -> tuple[Tensor, Tensor]:
    pixels = normalize(load_batch(samples, spec.image), spec.image)
    return torch.from_numpy(pixels), torch.tensor([sample.label for sample in samples])


@torch.no_grad()
def _write_nearest_means(network: nn.Module, spec: NetworkSpec, x: Tensor, labels: Tensor) -> None:
    """The head that compares features with the classes' means: -|f - m|^2 / 2, but for |f|^2 / 2."""
    found = features(network, spec.classifier, x)[0]
    means = torch.stack([found[labels == label].mean(0) for label in range(spec.num_classes)])
    scale = 20 / means.square().sum(1).mean()
    set_head(network, spec.classifier, means * scale, -means.square().sum(1) * scale / 2)


@torch.no_grad()
def _right(network: nn.Module, x: Tensor, labels: Tensor) -> float:
    return float((network.eval()(x).argmax(1) == labels).float().mean())


def test_mobilenet_v3_learns_to_do_without_smooth_activations_and_gates(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "neu_steel"
    shots, val = _samples(folder / "train", 10), _samples(folder / "val", 20)
    split = Split(tuple("abcdef"), shots, val, (), "squash", "", "")
    backbone = Backbone(name=f"local-dir:{shared / 'weights' / 'tf_mobilenetv3_small_100'}", input_size=SIZE)
    network, spec, _ = build(backbone, locate(backbone, tmp_path, ()), 6, "squash")
    _write_nearest_means(network, spec, *_inputs(shots, spec))
    (adapted := tmp_path / "adapted").mkdir()
    (out := tmp_path / "out").mkdir()
    write_checkpoint(network.state_dict(), adapted / "network.safetensors")
    write_spec(spec, adapted / "network.json")

    run = small_run(split, tmp_path, surgery={"epochs": 15}, data={"train": ".", "augment": "overhead"})
    simplify_network(run, adapted, out)
    operated = rebuild(read_spec(out / "network.json"), out / "network.safetensors")
    assert replaceable(network) == Replaceable(19, 9)
    assert replaceable(operated) == Replaceable(0, 0)
    x, labels = _inputs(val, spec)
    bare = construct(spec)
    bare.load_state_dict(network.state_dict())
    before, replaced = _right(network, x, labels), _right(operate(bare, ("relu",), (3, SIZE, SIZE)), x, labels)
    assert before > 0.8
    assert replaced < before - 0.3  # what the operation alone would cost
    assert _right(operated, x, labels) > before - 0.1
