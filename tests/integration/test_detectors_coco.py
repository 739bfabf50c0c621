"""Published detectors, loaded by edgetl, find on real pictures what they found for their authors."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from coco import COCO_80, Floats, Network, average_precision, inputs, pictures

from edgetl.recipes.recipe import Backbone
from edgetl.recipes.recipe import Detector as Settings
from edgetl.tasks.detection.detections import Postprocess
from edgetl.tasks.detection.networks import yolox_build
from edgetl.tasks.detection.networks.base import Detector
from edgetl.tasks.detection.spec import DetectorSpec
from edgetl.types import WeightSource

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def yolox(shared: Path) -> tuple[Detector, DetectorSpec]:
    source = WeightSource("file", str(shared / "weights" / "yolox_nano_coco" / "model.safetensors"))
    network, spec, _ = yolox_build.build(
        Backbone(name="yolox_nano"), Settings(), source, 80, "squash", keep_classes=True
    )
    return network, spec


def test_yolox_has_the_average_precision_of_its_card(shared: Path, yolox: tuple[Detector, DetectorSpec]) -> None:
    network, spec = yolox
    settings = Postprocess(iou_threshold=0.65, max_candidates=400)
    found = average_precision(shared, in_torch(network), spec.preprocessing, settings, COCO_80)
    assert found == pytest.approx(29.3, abs=0.3)


def test_yolox_gives_the_outputs_of_the_plain_network_beside_its_weights(
    shared: Path, yolox: tuple[Detector, DetectorSpec]
) -> None:
    network, spec = yolox
    plain = module_beside(shared / "weights" / "yolox_nano_coco")
    images = inputs([path for _, path in pictures(shared)[:8]], spec.preprocessing)
    with torch.inference_mode():
        expected = plain.decode(plain.build()(torch.from_numpy(images)))
    boxes, scores = in_torch(network)(images)
    assert np.abs(scores - expected[1].numpy()).max() < 1e-5
    seen = expected[1].numpy().max(2) >= 0.01
    assert np.abs(boxes - expected[0].numpy())[seen].max() < 0.01  # pixels


def in_torch(network: Detector) -> Network:
    def run(images: Floats) -> tuple[Floats, Floats]:
        with torch.inference_mode():
            boxes, scores = network(torch.from_numpy(images))
        return boxes.numpy(), scores.numpy()

    return run


def module_beside(folder: Path) -> ModuleType:
    """The reference that lies beside the weights."""
    spec = spec_from_file_location(f"reference_of_{folder.name}", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
