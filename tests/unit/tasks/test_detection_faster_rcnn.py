"""Faster R-CNN: static proposals, region features as matrix products, torchvision's weights, and learning."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models import detection
from torchvision.ops import MultiScaleRoIAlign, box_iou, nms

from edgetl.errors import UsageError, WeightsError
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.recipe import Detector as Settings
from edgetl.tasks.detection.networks.base import Targets
from edgetl.tasks.detection.networks.default_boxes import centered
from edgetl.tasks.detection.networks.faster_rcnn import FasterRcnn
from edgetl.tasks.detection.networks.faster_rcnn_build import build, construct
from edgetl.tasks.detection.networks.proposals import propose
from edgetl.tasks.detection.networks.roi_align import align_regions
from edgetl.types import WeightSource

pytestmark = [pytest.mark.stage, pytest.mark.usefixtures("one_thread")]

FRESH = WeightSource("none")
PUBLISHED = Backbone(name="tv_fasterrcnn_mobilenet_v3_large_fpn", input_size=128)


def random_regions(count: int, side: float) -> Tensor:
    low = torch.rand(2, count, 2) * side * 0.9
    return torch.cat((low, low + torch.rand(2, count, 2) * (side - low)), 2)


def test_features_of_regions_are_those_of_torchvision() -> None:
    torch.manual_seed(0)
    maps = [torch.randn(2, 5, 512 // stride, 512 // stride) for stride in (8, 16, 32)]
    regions = random_regions(60, 512)
    pool = MultiScaleRoIAlign(["0", "1", "2"], 7, 2)
    expected = pool({str(level): each for level, each in enumerate(maps)}, list(regions), [(512, 512)] * 2)
    found = align_regions(maps, (8, 16, 32), regions)
    assert found.is_contiguous()
    assert torch.allclose(found, expected, atol=1e-4)


def test_proposals_are_the_best_regions_without_copies() -> None:
    boxes = torch.tensor([[0.0, 0, 20, 20], [1, 1, 21, 21], [30, 30, 60, 60], [31, 30, 60, 60], [70, 5, 90, 25]])
    logits = torch.tensor([[1.0, 3.0, 2.0, 0.5, 0.7]])
    found = propose(logits, torch.zeros(1, 5, 4), centered(boxes), (64, 80), candidates=5, count=3)
    expected = nms(boxes, logits[0], 0.7)
    clipped = boxes[expected].clamp(max=torch.tensor([80.0, 64, 80, 64]))
    assert torch.allclose(found[0], clipped)


def test_too_few_proposals_are_filled_up_with_suppressed_ones() -> None:
    boxes = torch.tensor([[0.0, 0, 20, 20], [1, 1, 21, 21], [30, 30, 60, 60]])
    found = propose(
        torch.tensor([[1.0, 3.0, 2.0]]), torch.zeros(1, 3, 4), centered(boxes), (64, 64), candidates=3, count=3
    )
    assert torch.allclose(found[0], boxes[[1, 2, 0]])


def test_regions_outside_of_the_input_come_last() -> None:
    boxes = torch.tensor([[70.0, 5, 90, 25], [30, 30, 60, 60]])
    found = propose(torch.tensor([[3.0, 1.0]]), torch.zeros(1, 2, 4), centered(boxes), (64, 64), candidates=2, count=2)
    assert torch.allclose(found[0, 0], boxes[1])


@pytest.mark.parametrize("old_names", [False, True])
def test_weights_of_torchvision_give_its_proposals_and_region_features(old_names: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs: Any = detection.fasterrcnn_mobilenet_v3_large_fpn(weights=None, weights_backbone=None, num_classes=4)
    theirs.eval()
    state = theirs.state_dict()
    if old_names:  # of torchvision before 0.13
        state = {re.sub(r"(blocks\.\d)\.0\.", r"\1.", name): tensor for name, tensor in state.items()}
        state = {name.replace("rpn.head.conv.0.0.", "rpn.head.conv."): tensor for name, tensor in state.items()}
    torch.save(state, tmp_path / "theirs.pth")
    source = WeightSource("file", str(tmp_path / "theirs.pth"))
    ours, _, audit = build(PUBLISHED, Settings(), source, 3, "squash", keep_classes=True)
    assert audit.new == ()

    images = torch.randn(1, 3, 128, 128)
    with torch.inference_mode():
        named = theirs.backbone(images)
        objectness, offsets = theirs.rpn.head(list(named.values()))
        maps = ours.features(images)
        expected = (*named.values(), *objectness, *offsets)
        regions = random_regions(5, 128)[:1]
        pooled = theirs.roi_heads.box_roi_pool(named, list(regions), [(128, 128)])
        logits, _ = theirs.roi_heads.box_predictor(theirs.roi_heads.box_head(pooled))
        found, _ = ours.box_head(align_regions(maps[:1], (32,), regions))
    assert len(maps) == len(expected)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(maps, expected, strict=True))
    assert torch.allclose(found, logits, atol=1e-5)


def test_refinements_of_all_classes_become_their_mean(tmp_path: Path) -> None:
    theirs: Any = detection.fasterrcnn_mobilenet_v3_large_fpn(weights=None, weights_backbone=None, num_classes=4)
    torch.save({"model": theirs.state_dict()}, tmp_path / "theirs.pth")
    source = WeightSource("file", str(tmp_path / "theirs.pth"))
    ours, _, audit = build(PUBLISHED, Settings(), source, 5, "squash")
    assert audit.new == ("box_head.cls_score.bias", "box_head.cls_score.weight")
    per_class = theirs.roi_heads.box_predictor.bbox_pred.bias.reshape(4, 4)
    assert torch.allclose(ours.box_head.bbox_pred.bias, per_class[1:].mean(0))


def test_torchvisions_own_weights_have_batch_norms_without_epsilon(tmp_path: Path) -> None:
    name = "tv_fasterrcnn_resnet50_fpn"
    theirs: Any = detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    backbone, path = Backbone(name=name, input_size=64), str(tmp_path / "theirs.pth")
    _, own, _ = build(backbone, Settings(), WeightSource("file", path, "258fb6c6" + "0" * 56), 2, "squash")
    _, other, _ = build(backbone, Settings(), WeightSource("file", path, "0" * 64), 2, "squash")
    norms = {each.eps for each in construct(own).modules() if isinstance(each, torch.nn.BatchNorm2d)}
    assert norms == {0.0}
    assert "epsilon" not in other.arguments


def test_weights_of_another_network_are_refused_in_one_line(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(8, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="do not fit `tv_fasterrcnn_mobilenet_v3_large_fpn`") as refused:
        build(PUBLISHED, Settings(), WeightSource("file", str(tmp_path / "other.pth")), 2, "squash")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("backbone", "said"),
    [
        (Backbone(name="tv_fasterrcnn_mobilenet_v3_small_fpn", pretrained=False), "did you mean `fasterrcnn_mobilenet"),
        (Backbone(name="mobilenetv2_050", pretrained=False, input_size=100), "multiples of 32 pixels"),
    ],
)
def test_unsuitable_requests_are_refused(backbone: Backbone, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build(backbone, Settings(family="faster-rcnn"), FRESH, 2, "squash")


def test_a_saved_detector_is_built_again_from_its_description() -> None:
    detector, spec, audit = on_mobilenet()
    again = construct(spec)
    assert [*again.state_dict()] == [*detector.state_dict()]
    assert set(audit.new) <= detector.state_dict().keys()
    assert again.parts == ("features", "box_head")


def test_a_few_steps_find_the_objects_of_two_images() -> None:
    torch.manual_seed(0)
    detector = on_mobilenet()[0].train()
    images = torch.zeros(2, 3, 96, 96)
    images[0, 0, 8:48, 8:48], images[1, 1, 30:80, 40:92] = 2.0, 2.0
    targets = [objects([[8, 8, 48, 48]], [0]), objects([[40, 30, 92, 80]], [1])]
    optimizer = torch.optim.AdamW(detector.parameters(), 2e-3)
    for _ in range(60):
        optimizer.zero_grad()
        detector.training_loss(images, targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        boxes, scores = detector(images)
    assert boxes.shape == (2, 100, 4)
    for image, target in enumerate(targets):
        best = scores[image].amax(1).argmax()
        assert scores[image, best].argmax() == target.labels[0]
        assert box_iou(boxes[image, best][None], target.boxes) > 0.6


def test_images_without_objects_and_regions_to_ignore_have_a_loss() -> None:
    detector, images = on_mobilenet()[0], torch.randn(2, 3, 96, 96)
    ignored = Targets(torch.tensor([[0.0, 0, 50, 50]]), torch.tensor([1]), torch.tensor([True]))
    assert detector.training_loss(images, [objects([], []), ignored]).isfinite()


def on_mobilenet() -> tuple[FasterRcnn, Any, Any]:
    backbone = Backbone(name="mobilenetv2_050", pretrained=False, input_size=96)
    return build(backbone, Settings(family="faster-rcnn", width=32), FRESH, 2, "squash")


def objects(boxes: list[list[int]], labels: list[int]) -> Targets:
    corners: Tensor = torch.tensor(boxes).float().reshape(-1, 4)
    return Targets(corners, torch.tensor(labels, dtype=torch.int64), torch.zeros(len(boxes), dtype=torch.bool))
