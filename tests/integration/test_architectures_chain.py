"""An architecture goes from image files to bundles, and what should run in INT8 does.

Random weights, few small pictures, the smallest input that each network takes; blocks that repeat stand there once
where the library lets us say so. This asks whether the chain carries the architecture, not how good it gets: ratios and
accuracy at real size are in `benchmarks/architectures.py`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import onnx
import pytest
import timm
import torch
import torchvision  # noqa: F401
from PIL import Image
from safetensors.torch import save_file
from this_cpu import INTEL_TARGET, X86_TARGET
from torch import nn

from edgetl.bundle.inference import cannot_run, open_bundle, verify
from edgetl.bundle.read import Bundle, read_bundle
from edgetl.pivot.layer_view import View
from edgetl.pivot.pivot import read_pivot
from edgetl.recipes.job import make_job
from edgetl.recipes.recipe import Recipe
from edgetl.recipes.targets import load_target, scheme_id
from edgetl.stages.pipeline import run
from edgetl.types import Silent

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TARGETS = (X86_TARGET, INTEL_TARGET, "nvidia-rtx", "arm64-cpu")
SCHEMES = {scheme_id(load_target(name).scheme) for name in TARGETS}
CLASSES, SHOTS, VALIDATION = ("dark", "red", "blue"), 1, 3


@dataclass(frozen=True)
class Row:
    """A backbone and the side of its input.

    floats     operators that no scheme quantizes: products of two activations (attention: two in each block), batch
               norms behind a concatenation (DenseNet), which ONNX Runtime runs as convolutions
    arguments  of timm's constructor
    settled    batch norms get the statistics of noise: a network that is deep enough loses its values without
    """

    backbone: str
    size: int
    method: Literal["ptq", "qat"] = "ptq"
    floats: int = 0
    arguments: Mapping[str, object] = field(default_factory=dict)
    settled: bool = False


ROWS = (
    Row("tv_squeezenet1_1", 32),
    Row("resnet18", 32, "qat"),
    Row("vit_tiny_patch16_224", 32, "qat", 4, {"depth": 2, "img_size": 32}),
)
MORE = (
    Row("tv_alexnet", 63),
    Row("tv_vgg11", 32, "qat"),
    Row("tv_vgg16_bn", 32),
    Row("tv_googlenet", 32),
    Row("inception_v3", 107, settled=True),
    Row("densenet121", 32, "ptq", 3, {"block_config": [2, 1, 1, 1]}),
    Row("resnet50", 32, arguments={"layers": [1, 1, 1, 1]}),
    Row("regnetx_002", 32),
    Row("regnety_002", 32),
    Row("repvgg_a0", 32),
    Row("tv_shufflenet_v2_x0_5", 32),
    Row("mobilenetv1_100", 32),
    Row("mobilenetv2_050", 32),
    Row("mobilenetv3_small_050", 32),
    Row("mobilenetv4_conv_small_035", 32, "qat"),
    Row("efficientnet_lite0", 32),
    Row("efficientnet_b0", 32, "qat"),
    # timm's layer scale of 1e-6 would leave a block so little that OpenVINO drops it
    Row("convnext_atto", 32, arguments={"depths": [1, 1, 1, 1], "ls_init_value": 1.0}),
    Row("deit_tiny_patch16_224", 32, "ptq", 4, {"depth": 2, "img_size": 32}),
    Row("deit_tiny_distilled_patch16_224", 32, "ptq", 4, {"depth": 2, "img_size": 32}),
    Row("swin_tiny_patch4_window7_224", 64, "ptq", 10, {"depths": [2, 1, 1, 1], "img_size": 64, "window_size": 2}),
    Row("tv_swin_t", 32, "ptq", 24),
)
"""Half a minute to a minute of CPU each; EDGETL_ALL_ARCHITECTURES=1 runs them."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder per class: soft noise with a tint of its own."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for index, name in enumerate(CLASSES):
        (folder / name).mkdir()
        for number in range(SHOTS + VALIDATION):
            pixels = rng.normal(100, 45, (8, 8, 3)) + 50 * (np.arange(3) == index)
            picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            picture.resize((64, 64), Image.Resampling.BICUBIC).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(autouse=True)
def narrow_linear_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG and AlexNet with hidden layers of 512 instead of 4096 units: 100 million weights that say nothing here."""

    class Narrow(nn.Linear):
        def __init__(self, inputs: int, outputs: int) -> None:
            inputs, outputs = (512 if size == 4096 else size for size in (inputs, outputs))
            super().__init__(inputs, outputs)

    for name in ("alexnet", "vgg"):
        names = SimpleNamespace(**{**vars(nn), "Linear": Narrow})
        monkeypatch.setattr(sys.modules[f"torchvision.models.{name}"], "nn", names)


def _backbone(row: Row, folder: Path) -> dict[str, object]:
    """torchvision's by name, timm's as a folder with weights: random ones."""
    if row.backbone.startswith("tv_"):
        return {"name": row.backbone, "pretrained": False, "input_size": row.size}
    torch.manual_seed(0)
    network = timm.create_model(row.backbone, num_classes=2, **row.arguments)
    if row.settled:
        _settle_norms(network, row.size)
    save_file(
        {name: tensor.contiguous() for name, tensor in network.state_dict().items()}, folder / "model.safetensors"
    )
    config = {"architecture": row.backbone, "model_args": row.arguments}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return {"name": f"local-dir:{folder}", "input_size": row.size}


@torch.no_grad()
def _settle_norms(network: nn.Module, size: int) -> None:
    for part in network.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.momentum = None  # a plain mean over what is shown
    network.train()
    network(torch.randn(16, 3, size, size))
    network.eval()


def _recipe(row: Row, pictures: Path, folder: Path) -> Recipe:
    raw = {
        "name": "row",
        "data": {"train": str(pictures), "shots": SHOTS, "resize": "squash", "augment": "none"},
        "check": {"features": False},
        "backbone": _backbone(row, folder),
        "adapt": {"strategy": "probe", "head": "ncm", "sanity": "warn"},
        "quantize": {"method": row.method, "epochs": 1, "batch_size": 3},
        "targets": list(TARGETS),
    }
    return Recipe.model_validate(raw)


@pytest.mark.parametrize("row", [*ROWS, *MORE], ids=lambda row: f"{row.backbone}-{row.method}")
def test_an_architecture_goes_from_files_to_bundles_in_int8(row: Row, pictures: Path, tmp_path: Path) -> None:
    if row in MORE and not os.environ.get("EDGETL_ALL_ARCHITECTURES"):
        pytest.skip("takes up to a minute of CPU; EDGETL_ALL_ARCHITECTURES=1 runs it")
    outcome = run(make_job(_recipe(row, pictures, tmp_path), tmp_path), Silent(), until="compile")

    layers = _layers_all_quantized(tmp_path / "row-build" / "pivot")
    bundles = [read_bundle(result.folder) for result in outcome.results if result.stage == "compile"]
    assert {bundle.manifest.target.name for bundle in bundles if _is_int8(bundle)} == set(TARGETS)
    for bundle in bundles:
        if not cannot_run(bundle):
            assert [step for step in verify(bundle, threads=1) if not step.passed] == []
            if _is_int8(bundle):
                _runs_in_int8(bundle, layers, row.floats)


def _is_int8(bundle: Bundle) -> bool:
    return bundle.manifest.compiled.precision == "int8"


def _layers_all_quantized(pivot: Path) -> int:
    """How many convolutions and linear layers the network has; all of them are between Q/DQ in every INT8 model."""
    models = {model.file: model for model in read_pivot(pivot).models}
    plain = View(onnx.load_model(pivot / "float32.onnx"))
    quantized = [name for name, model in models.items() if model.precision == "int8"]
    assert len(quantized) == len(SCHEMES)  # one for CPUs, one for TensorRT, and one for a CPU that would saturate
    for name in quantized:
        view = View(onnx.load_model(pivot / name))
        assert {view.name_of(node) for node in view.compute} == set(view.layers), name
        assert len(view.layers) == len(plain.compute), name
    return len(plain.compute)


def _runs_in_int8(bundle: Bundle, layers: int, floats: int) -> None:
    """The runtime itself says how it computes each layer."""
    with open_bundle(bundle, threads=1) as engine:
        placement = engine.placement()
    left = placement.not_integer()
    assert len(left) <= floats, [f"{operator.name} in {operator.precision}" for operator in left]
    assert len(placement.compute()) - len(left) >= layers
