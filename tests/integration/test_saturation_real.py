"""The saturation forecast of a real network on real images, and what reduced range leaves of the harm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.torch import save_file
from test_saturation_emulated import emulated

from edgetl.backbones.load import build
from edgetl.backbones.spec import write_spec
from edgetl.backbones.weights import locate
from edgetl.backends.onnx_stem import widen_stem
from edgetl.catalog import load_profile, load_target, scheme_id
from edgetl.data.views import load_batch
from edgetl.export import stage as export
from edgetl.graph.pivot import read_pivot
from edgetl.progress import Silent
from edgetl.quant import stage as quantize
from edgetl.recipe import Backbone, Gates, Quantize
from edgetl.saturation.examine import examine
from edgetl.saturation.forecast import exact, logits, saturated
from edgetl.saturation.network import Network
from edgetl.types import Sample, Split

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SIDE = 96


@pytest.fixture(scope="module")
def split(shared: Path) -> Split:
    pictures = sorted((shared / "data" / "imagenet_samples").glob("*.jpg"))[:24]
    samples = tuple(Sample(str(path), index % 4, "") for index, path in enumerate(pictures))
    return Split(("a", "b", "c", "d"), samples[:12], samples[12:], (), "crop", "", "")


@pytest.fixture(scope="module")
def pivot(shared: Path, split: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MobileNetV2 with its pretrained features at 96 pixels, calibrated to uint8 activations."""
    folder = tmp_path_factory.mktemp("mobilenet")
    backbone = Backbone(name=f"local-dir:{shared / 'weights' / 'mobilenetv2_100'}")
    network, spec, _ = build(backbone, locate(backbone, folder, ()), 4, "crop")
    spec = replace(spec, preprocessing=replace(spec.preprocessing, height=SIDE, width=SIDE))
    for name in ("adapted", "quantized", "pivot"):
        (folder / name).mkdir()
    save_file(network.state_dict(), folder / "adapted" / "network.safetensors")
    write_spec(spec, folder / "adapted" / "network.json")
    scheme = load_target("x86-cpu").scheme
    config = Quantize(method="ptq")
    profile = load_profile("default")
    job = quantize.QuantizeJob(split, folder / "adapted", scheme, profile, config, Gates(), "natural")
    quantize.run(job, folder / "quantized", Silent())
    export.run(split, folder / "adapted", {scheme_id(scheme): folder / "quantized"}, folder / "pivot", Silent())
    return folder / "pivot"


def test_a_mobilenet_saturates_and_the_verdict_says_which_layers_need_less_range(pivot: Path, split: Split) -> None:
    (found,) = examine(pivot, split, [scheme_id(load_target("x86-cpu").scheme)], 6, Silent())
    assert not found.calibration.unknown
    assert len(found.calibration.layers) == 36, "35 pointwise or full convolutions and the classifier, no depthwise one"
    assert len(found.calibration.saturating) > 5
    assert found.validation.cost.logits_error > 0.05
    assert found.remedy is not None
    assert 0 < len(found.remedy.layers) < 36
    assert found.remedy.cost.logits_error < found.validation.cost.logits_error
    assert "reduced range in" in found.verdict


def test_onnx_runtime_on_an_emulated_cpu_without_vnni_answers_as_forecast_to_the_bit(
    pivot: Path, split: Split, tmp_path: Path
) -> None:
    described = read_pivot(pivot)
    model = onnx.load_model(pivot / next(m.file for m in described.models if m.scheme_id))
    widen_stem(model)
    images = load_batch(split.val[:4], described.preprocessing)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    np.save(tmp_path / "model.npy", images)
    emulated(tmp_path, modes="0")
    network = Network(model)
    found = logits(network, [images], saturated)
    np.testing.assert_array_equal(found, np.load(tmp_path / "model.0.npy"))
    assert (found != logits(network, [images], exact)).any()
