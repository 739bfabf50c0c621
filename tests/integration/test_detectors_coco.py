"""Published detectors, loaded by edgetl, find on real pictures what they found for their authors."""

from __future__ import annotations

import copy
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from calibrating import calibrate
from coco import COCO_80, Floats, Network, average_precision, inputs, pictures

from edgetl.pivot.fold import fold_parts
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.literal import open_literal
from edgetl.pivot.preprocess import on_byte_lattice
from edgetl.quant.bias import correct_biases
from edgetl.quant.prepare import convert, prepare_parts
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.recipe import Detector as Settings
from edgetl.tasks.detection.detections import BOXES, SCORES, Postprocess
from edgetl.tasks.detection.networks import ssd_build, yolox_build
from edgetl.tasks.detection.networks.base import Detector
from edgetl.tasks.detection.spec import DetectorSpec
from edgetl.types import CalibrationProfile, ImagePreprocessing, Scheme, WeightSource

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("one_thread")]

Built = tuple[Detector, DetectorSpec]


@pytest.fixture(scope="module")
def yolox(shared: Path) -> Built:
    return built(yolox_build.build, "yolox_nano", shared / "weights" / "yolox_nano_coco", 80)


@pytest.fixture(scope="module")
def ssd(shared: Path) -> Built:
    return built(ssd_build.build, "ssd_mobilenet_v1", shared / "weights" / "ssd_mobilenet_v1_coco", 90)


def test_yolox_has_the_average_precision_of_its_card(shared: Path, yolox: Built) -> None:
    network, spec = yolox
    settings = Postprocess(iou_threshold=0.65, max_candidates=400)
    found = average_precision(shared, in_torch(network), spec.preprocessing, settings, COCO_80)
    assert found == pytest.approx(29.3, abs=0.3)


@pytest.mark.slow
def test_yolox_in_int8_keeps_most_of_it(shared: Path, yolox: Built) -> None:
    """Its first channels reach from 0.2 to 110: with one scale for all of them 11 of 29 remain."""
    network, spec = yolox
    p = on_byte_lattice(spec.preprocessing, symmetric=False)
    assert isinstance(p, ImagePreprocessing)
    shots = [path for _, path in pictures(shared, "train2017")]
    batches = [torch.from_numpy(inputs(shots[start : start + 10], p)) for start in range(0, 20, 10)]
    scheme = Scheme("uint8", activation_symmetric=False, weight_pairs_in_int16=True)
    profile = CalibrationProfile("default", "", 20, "mse")
    folded = fold_parts(network, network.parts, p.network_shape).module
    prepared = prepare_parts(copy.deepcopy(folded), network.parts, p, scheme, profile, lambda: batches[0])
    calibrate(prepared, batches, p)
    correct_biases(prepared, batches[:1])
    model = to_onnx(convert(prepared, p), p.network_shape, (BOXES, SCORES))
    session = open_literal(model.SerializeToString())

    def run(images: Floats) -> tuple[Floats, Floats]:
        boxes, scores = session.run([BOXES, SCORES], {"input": images})
        return boxes, scores

    settings = Postprocess(iou_threshold=0.65, max_candidates=400)
    assert average_precision(shared, run, p, settings, COCO_80) > 25


def test_ssd_has_the_average_precision_of_its_card(shared: Path, ssd: Built) -> None:
    network, spec = ssd
    settings = Postprocess(iou_threshold=0.6, max_candidates=400)
    found = average_precision(shared, in_torch(network), spec.preprocessing, settings, range(1, 91))
    assert found == pytest.approx(23.0, abs=0.3)


def test_yolox_gives_the_outputs_of_the_plain_network_beside_its_weights(shared: Path, yolox: Built) -> None:
    network, spec = yolox
    plain = module_beside(shared / "weights" / "yolox_nano_coco")
    images = inputs([path for _, path in pictures(shared)[:8]], spec.preprocessing)
    with torch.inference_mode():
        expected = plain.decode(plain.build()(torch.from_numpy(images)))
    boxes, scores = in_torch(network)(images)
    assert np.abs(scores - expected[1].numpy()).max() < 1e-5
    seen = expected[1].numpy().max(2) >= 0.01
    assert np.abs(boxes - expected[0].numpy())[seen].max() < 0.01  # pixels


def test_ssd_gives_the_outputs_of_the_plain_network_beside_its_weights(shared: Path, ssd: Built) -> None:
    network, spec = ssd
    plain = module_beside(shared / "weights" / "ssd_mobilenet_v1_coco")
    images = inputs([path for _, path in pictures(shared)[:8]], spec.preprocessing)
    with torch.inference_mode():
        offsets, logits = plain.build()(torch.from_numpy(images))
    boxes, scores = in_torch(network)(images)
    assert np.abs(boxes - plain.decode(offsets, plain.anchors()).numpy() * 300).max() < 0.01  # pixels
    assert np.abs(scores - logits.sigmoid()[..., 1:].numpy()).max() < 1e-5


def built(build: Callable[..., Any], name: str, folder: Path, num_classes: int) -> Built:
    source = WeightSource("file", str(folder / "model.safetensors"))
    network, spec, audit = build(Backbone(name=name), Settings(), source, num_classes, "squash", keep_classes=True)
    assert audit.new == ()
    return network, spec


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
