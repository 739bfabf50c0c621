"""The saturation forecast of a real network on real images, and the target that cannot saturate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from safetensors.torch import save_file
from small_runs import small_run
from test_saturation_emulated import emulated

from edgetl.backbones.load import build
from edgetl.backbones.spec import write_spec
from edgetl.backbones.weights import locate
from edgetl.backends.onnx_stem import widen_stem
from edgetl.diagnose.forecast.forecast import exact, outputs, saturated
from edgetl.diagnose.forecast.models import examine
from edgetl.diagnose.forecast.network import Network
from edgetl.fronts.batches import load_batch
from edgetl.pivot.export import export_pivot
from edgetl.pivot.pivot import read_pivot
from edgetl.quant.quantize import quantize_network
from edgetl.recipes.gates import Gates
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.targets import load_target, scheme_id
from edgetl.types import Sample, Silent, Split

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SIDE = 96


@pytest.fixture(scope="module")
def split(shared: Path) -> Split:
    pictures = sorted((shared / "data" / "imagenet_samples").glob("*.jpg"))[:24]
    samples = tuple(Sample(str(path), index % 4, "") for index, path in enumerate(pictures))
    return Split(("a", "b", "c", "d"), samples[:12], samples[12:], (), "crop", "", "")


@pytest.fixture(scope="module")
def pivot(shared: Path, split: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MobileNetV2 with its pretrained features at 96 pixels, calibrated for CPUs with VNNI and without."""
    folder = tmp_path_factory.mktemp("mobilenet")
    backbone = Backbone(name=f"local-dir:{shared / 'weights' / 'mobilenetv2_100'}")
    network, spec, _ = build(backbone, locate(backbone, folder, ()), 4, "crop")
    spec = replace(spec, preprocessing=replace(spec.image, height=SIDE, width=SIDE))
    for name in ("adapted", "pivot"):
        (folder / name).mkdir()
    save_file(network.state_dict(), folder / "adapted" / "network.safetensors")
    write_spec(spec, folder / "adapted" / "network.json")
    run = small_run(split, folder, quantize={"method": "ptq"}, data={"train": ".", "augment": "natural"})
    quantized = {}
    for name in ("x86-cpu", "x86-avx2"):
        scheme = load_target(name).scheme
        quantized[scheme_id(scheme)] = folder / name
        (folder / name).mkdir()
        quantize_network(run, folder / "adapted", scheme, Gates(), None, folder / name)
    export_pivot(run, folder / "adapted", quantized, folder / "pivot")
    return folder / "pivot"


def model_of(pivot: Path, target: str) -> onnx.ModelProto:
    """What the target's backend compiles, its first convolution rewritten as `edgetl compile` does."""
    scheme = scheme_id(load_target(target).scheme)
    model = onnx.load_model(pivot / next(m.file for m in read_pivot(pivot).models if m.scheme_id == scheme))
    assert widen_stem(model)
    return model


def on_haswell(model: onnx.ModelProto, images: NDArray[np.uint8], folder: Path) -> NDArray[np.float32]:
    """Logits of ONNX Runtime on an emulated CPU without VNNI."""
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    np.save(folder / "model.npy", images)
    emulated(folder, modes="0")
    found: NDArray[np.float32] = np.load(folder / "model.0.npy")
    return found


def test_a_mobilenet_saturates_and_the_verdict_says_what_to_build_for(pivot: Path, split: Split) -> None:
    (found,) = examine(pivot, split, [scheme_id(load_target("x86-cpu").scheme)], 6, Silent())
    assert not found.calibration.unknown
    assert len(found.calibration.layers) == 36, "35 pointwise or full convolutions and the classifier, no depthwise one"
    assert len(found.calibration.saturating) > 5
    assert found.validation.cost.error > 0.05
    assert found.verdict.endswith("build for the target x86-avx2")


def test_onnx_runtime_on_an_emulated_cpu_without_vnni_answers_as_forecast_to_the_bit(
    pivot: Path, split: Split, tmp_path: Path
) -> None:
    model = model_of(pivot, "x86-cpu")
    images = load_batch(split.val[:4], read_pivot(pivot).preprocessing)
    emulated_logits = on_haswell(model, images, tmp_path)
    network = Network(model)
    found = outputs(network, [images], saturated)["logits"]
    np.testing.assert_array_equal(found, emulated_logits)
    assert (found != outputs(network, [images], exact)["logits"]).any()


def test_the_target_without_vnni_cannot_saturate_on_any_image(pivot: Path, split: Split) -> None:
    (found,) = examine(pivot, split, [scheme_id(load_target("x86-avx2").scheme)], 2, Silent())
    assert len(found.calibration.layers) == 36
    assert not found.calibration.unknown
    assert found.verdict == "cannot saturate: no pair of weights exceeds 16 bits, whatever the activations"


def test_the_target_without_vnni_answers_alike_on_cpus_of_either_kind(
    pivot: Path, split: Split, tmp_path: Path
) -> None:
    model = model_of(pivot, "x86-avx2")
    images = load_batch(split.val[:4], read_pivot(pivot).preprocessing)
    emulated_logits = on_haswell(model, images, tmp_path)
    network = Network(model)
    np.testing.assert_array_equal(outputs(network, [images], exact)["logits"], emulated_logits)
