"""Quantize and export a real ImageNet network on real photographs: integers stay close to float."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load_file
from safetensors.torch import save_file
from small_runs import small_run
from this_cpu import X86_TARGET, needs_vnni

from edgetl.backbones.load import build
from edgetl.backbones.spec import write_spec
from edgetl.backbones.weights import locate
from edgetl.fronts.batches import load_batch
from edgetl.pivot.export import export_pivot
from edgetl.pivot.pivot import read_pivot
from edgetl.quant.quantize import quantize_network
from edgetl.recipes.gates import Gates
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.targets import load_target, scheme_id
from edgetl.types import Sample, Split

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.mark.parametrize("target", [X86_TARGET, pytest.param("nvidia-rtx", marks=needs_vnni)])
def test_integers_of_an_imagenet_mobilenet_agree_with_its_float_network(
    shared: Path, tmp_path: Path, target: str
) -> None:
    pictures = sorted((shared / "data" / "imagenet_samples").glob("*.jpg"))
    samples = tuple(Sample(str(path), int(path.name.partition("_")[0]), "") for path in pictures[:48])
    labels = tuple(f"class {index}" for index in range(1000))
    split = Split(labels, samples[:24], samples[24:], (), "crop", "", "")
    backbone = Backbone(name=f"local-dir:{shared / 'weights' / 'mobilenetv2_100'}")
    network, spec, _ = build(backbone, locate(backbone, tmp_path, ()), 1000, "crop")
    _load_imagenet_head(network, shared)
    (adapted := tmp_path / "adapted").mkdir()
    save_file(network.state_dict(), adapted / "network.safetensors")
    write_spec(spec, adapted / "network.json")
    scheme = load_target(target).scheme
    (quantized := tmp_path / "quantized").mkdir()
    (out := tmp_path / "pivot").mkdir()
    run = small_run(split, tmp_path, quantize={"method": "ptq"}, data={"train": ".", "augment": "natural"})
    quantize_network(run, adapted, scheme, Gates(), None, quantized)
    export_pivot(run, adapted, {scheme_id(scheme): quantized}, out)

    pivot = read_pivot(out)
    reference = load_file(out / "reference.safetensors")
    assert (reference["logits"].argmax(1) == reference["labels"]).mean() >= 0.7
    images = load_batch(split.val, spec.image)
    session = onnxruntime.InferenceSession(out / pivot.models[1].file)
    logits = np.concatenate([session.run(["logits"], {"image": images[i : i + 8]})[0] for i in range(0, 24, 8)])
    assert (logits.argmax(1) == reference["logits"].argmax(1)).mean() >= 0.9
    assert np.abs(logits - reference["logits"]).max() < 0.15 * np.abs(reference["logits"]).max()


def _load_imagenet_head(network: object, shared: Path) -> None:
    # `build` puts a fresh classifier on; here the pretrained one is wanted
    import torch
    from safetensors.torch import load_file as load_torch

    tensors = load_torch(shared / "weights" / "mobilenetv2_100" / "model.safetensors")
    head = network.get_submodule("classifier")  # type: ignore[attr-defined]
    with torch.no_grad():
        head.weight.copy_(tensors["classifier.weight"])
        head.bias.copy_(tensors["classifier.bias"])
