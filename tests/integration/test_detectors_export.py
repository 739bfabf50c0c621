"""Detectors of every family: ONNX gives the boxes and scores of torch on real pictures; batch norms can be folded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from coco import Floats, inputs, pictures
from torch import nn

from edgetl.backbones.weights import locate
from edgetl.pivot.fold import fold_parts
from edgetl.pivot.from_torch import NETWORK_INPUT, to_onnx
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.recipe import Detector as Settings
from edgetl.tasks.detection.detections import BOXES, SCORES
from edgetl.tasks.detection.networks.base import Detector
from edgetl.tasks.detection.networks.build import build
from edgetl.tasks.detection.networks.faster_rcnn import FasterRcnn
from edgetl.tasks.detection.spec import DetectorSpec

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("one_thread")]


@pytest.mark.parametrize(
    ("name", "family", "weights"),
    [
        ("yolox_nano", "auto", "yolox_nano_coco"),
        ("ssd_mobilenet_v1", "auto", "ssd_mobilenet_v1_coco"),
        ("mobilenetv2_100", "faster-rcnn", None),
        pytest.param("mobilenetv2_100", "ssd", None, marks=pytest.mark.slow),
        pytest.param("tv_ssdlite320_mobilenet_v3_large", "auto", None, marks=pytest.mark.slow),
        pytest.param("tv_ssd300_vgg16", "auto", None, marks=pytest.mark.slow),
        pytest.param("tv_fasterrcnn_resnet50_fpn", "auto", None, marks=pytest.mark.slow),
        pytest.param("tv_fasterrcnn_mobilenet_v3_large_fpn", "auto", None, marks=pytest.mark.slow),
    ],
)
def test_an_exported_detector_finds_what_it_finds_in_torch(
    shared: Path, name: str, family: Any, weights: str | None
) -> None:
    detector, spec = built(shared, name, family, weights)
    model = to_onnx(detector, spec.preprocessing.network_shape, (BOXES, SCORES))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    # without borders of one color, where predictions are equal and so in no order
    images = inputs([path for _, path in pictures(shared)[:3]], replace(spec.preprocessing, resize="squash"))
    with torch.inference_mode():
        expected = [each.numpy() for each in detector(torch.from_numpy(images))]
    boxes, scores = session.run([BOXES, SCORES], {NETWORK_INPUT: images})
    if isinstance(detector, FasterRcnn):
        # regions that are equally good up to rounding may change places, or one be the last instead of the other
        assert share_in(np.concatenate(expected, 2), np.concatenate([boxes, scores], 2)) >= 0.95
    else:
        sides = np.maximum(expected[0][..., 2:] - expected[0][..., :2], 1).max(2, keepdims=True)
        assert np.abs((boxes - expected[0]) / sides).max() < 1e-3
        assert np.abs(scores - expected[1]).max() < 1e-4
    assert [each.shape[1:] for each in session.get_outputs()] == [[boxes.shape[1], 4], [boxes.shape[1], 3]]
    assert session.get_outputs()[0].type == "tensor(float)"


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("yolox_nano", "auto"),
        ("ssd_mobilenet_v1", "auto"),
        ("tv_ssdlite320_mobilenet_v3_large", "auto"),
        ("mobilenetv2_100", "ssd"),
        ("mobilenetv2_100", "faster-rcnn"),
        ("tv_fasterrcnn_mobilenet_v3_large_fpn", "auto"),
    ],
)
def test_every_batch_norm_of_a_detector_can_be_folded(name: str, family: Any) -> None:
    backbone = Backbone(name=name, pretrained=False)
    detector, spec, _ = build(backbone, Settings(family=family), locate(backbone, Path(), ()), 3, "squash")
    folded = fold_parts(detector, detector.parts, spec.preprocessing.network_shape)
    assert folded.folded > 30
    assert folded.left == 0


def share_in(rows: Floats, others: Floats) -> float:
    """The share of rows (N, A, 4 + C) that are among the others, boxes to 0.05 pixels and scores to 1e-3."""
    apart = np.abs(rows[:, :, None] - others[:, None])
    same = (apart[..., :4] < 0.05).all(3) & (apart[..., 4:] < 1e-3).all(3)
    return float(same.any(2).mean())


def built(shared: Path, name: str, family: Any, weights: str | None) -> tuple[Detector, DetectorSpec]:
    file = str(shared / "weights" / weights / "model.safetensors") if weights else None
    backbone = Backbone(name=name, weights=file, pretrained=file is not None or family != "auto")
    source = locate(backbone, Path(), (shared / "weights",))
    detector, spec, _ = build(backbone, Settings(family=family), source, 3, "squash")
    if isinstance(detector, FasterRcnn):
        _decide(detector, spec)
    return detector, spec


def _decide(detector: FasterRcnn, spec: DetectorSpec) -> None:
    """Regions of a network that was not trained are about equal; the order of equal ones differs between runtimes."""
    torch.manual_seed(0)
    norms = [part for part in detector.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.train().momentum = 1.0
    with torch.no_grad():
        detector.features(torch.randn(2, 3, spec.preprocessing.height, spec.preprocessing.width))
    detector.eval()
    for level in detector.features.head.rpn.children():
        for layer in level.children():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=(layer.in_channels * layer.weight[0, 0].numel()) ** -0.5)
