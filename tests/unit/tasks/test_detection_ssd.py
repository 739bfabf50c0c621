"""SSD: default boxes, matching and loss; torchvision's weights and outputs; any backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models import detection
from torchvision.models.detection.image_list import ImageList

from edgetl.errors import UsageError, WeightsError
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.recipe import Detector as Settings
from edgetl.tasks.detection.networks.base import Targets
from edgetl.tasks.detection.networks.default_boxes import decoded, encoded, grid, matched
from edgetl.tasks.detection.networks.ssd import Ssd
from edgetl.tasks.detection.networks.ssd_build import build, construct
from edgetl.types import WeightSource

pytestmark = [pytest.mark.stage, pytest.mark.usefixtures("one_thread")]

FRESH = WeightSource("none")
LITE = Backbone(name="tv_ssdlite320_mobilenet_v3_large")


def test_default_boxes_lie_in_the_middle_of_their_parts_row_by_row() -> None:
    boxes = grid(2, 3, 20, 60, [(8, 8), (4, 16)])
    assert boxes.shape == (12, 4)
    assert boxes[:3].tolist() == [[10, 5, 8, 8], [10, 5, 4, 16], [30, 5, 8, 8]]
    assert boxes[-1].tolist() == [50, 15, 4, 16]


def test_offsets_lead_to_the_box_they_were_made_from() -> None:
    defaults = torch.tensor([[50.0, 40, 20, 30], [10.0, 10, 8, 8]])
    boxes = torch.tensor([[35.0, 30, 70, 52], [2, 3, 30, 40]])
    assert torch.allclose(decoded(encoded(boxes, defaults)[None], defaults)[0], boxes, atol=1e-4)


def test_an_object_without_a_good_default_box_gets_the_best_one() -> None:
    defaults = grid(2, 2, 40, 40, [(20, 20)])
    tiny = objects([[21, 1, 25, 5]], [1])
    assert matched(defaults, [tiny]).labels.tolist() == [[-1, 1, -1, -1]]


def test_default_boxes_in_regions_to_ignore_are_unsure() -> None:
    defaults = grid(2, 2, 40, 40, [(20, 20)])
    region = Targets(torch.tensor([[0.0, 0, 40, 15]]), torch.tensor([0]), torch.tensor([True]))
    found = matched(defaults, [region])
    assert found.unsure.tolist() == [[True, True, False, False]]
    assert found.labels.max() == -1


@pytest.mark.parametrize("name", ["ssdlite320_mobilenet_v3_large", "ssd300_vgg16"])
def test_weights_of_torchvision_give_the_boxes_and_scores_of_torchvision(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs: Any = getattr(detection, name)(weights=None, weights_backbone=None, num_classes=4).eval()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    source = WeightSource("file", str(tmp_path / "theirs.pth"))
    ours, spec, audit = build(Backbone(name=f"tv_{name}"), Settings(), source, 3, "squash", keep_classes=True)
    height, width = spec.preprocessing.height, spec.preprocessing.width
    images = torch.randn(1, 3, height, width)
    with torch.inference_mode():
        features = list(theirs.backbone(images).values())
        given = theirs.head(features)
        defaults = theirs.anchor_generator(ImageList(images, [(height, width)]), features)[0]
        expected = theirs.box_coder.decode_single(given["bbox_regression"][0], defaults)
        boxes, scores = ours(images)
    assert audit.new == ()
    assert torch.allclose(boxes[0], expected, atol=1e-3)
    assert torch.allclose(scores, given["cls_logits"].softmax(2)[..., 1:], atol=1e-6)


def test_other_classes_keep_everything_of_torchvision_but_the_last_class_layers(tmp_path: Path) -> None:
    theirs: Any = detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=4)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    _, _, audit = build(LITE, Settings(), WeightSource("file", str(tmp_path / "theirs.pth")), 2, "squash")
    assert len(audit.new) == 12
    assert all(name.startswith("head.classes.") for name in audit.new)


def test_weights_of_another_network_are_refused_in_one_line(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(8, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="do not fit `tv_ssdlite320_mobilenet_v3_large`") as refused:
        build(LITE, Settings(), WeightSource("file", str(tmp_path / "other.pth")), 2, "squash")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("backbone", "said"),
    [
        (Backbone(name="tv_ssd300_vgg16", input_size=320), "takes 300x300 pixels only; found 320x320"),
        (Backbone(name="ssd_mobilenet_v2", pretrained=False), "did you mean `ssd_mobilenet_v1`"),
        (Backbone(name="mobilenetv2_050", pretrained=False, input_size=100), "multiples of 32 pixels"),
    ],
)
def test_unsuitable_requests_are_refused(backbone: Backbone, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build(backbone, Settings(family="ssd"), FRESH, 2, "squash")


@pytest.mark.parametrize("name", ["ssd_mobilenet_v1", "mobilenetv2_050", "tv_resnet18"])
def test_a_saved_detector_is_built_again_from_its_description(name: str) -> None:
    detector, spec, audit = on(name)
    again = construct(spec)
    assert [*again.state_dict()] == [*detector.state_dict()]
    assert set(audit.new) <= detector.state_dict().keys()


def test_a_few_steps_find_the_objects_of_two_images() -> None:
    torch.manual_seed(0)
    detector = on("mobilenetv2_050")[0].train()
    images = torch.zeros(2, 3, 96, 96)
    images[0, 0, 8:48, 8:48], images[1, 1, 30:80, 40:92] = 2.0, 2.0
    targets = [objects([[8, 8, 48, 48]], [0]), objects([[40, 30, 92, 80]], [1])]
    optimizer = torch.optim.AdamW(detector.parameters(), 3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        detector.training_loss(images, targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        boxes, scores = detector(images)
    for image, target in enumerate(targets):
        best = scores[image].amax(1).argmax()
        assert scores[image, best].argmax() == target.labels[0]
        assert torch.allclose(boxes[image, best], target.boxes[0], atol=8)


def test_images_without_objects_have_a_loss() -> None:
    assert on("mobilenetv2_050")[0].training_loss(torch.randn(1, 3, 96, 96), [objects([], [])]) > 0


def on(name: str) -> tuple[Ssd, Any, Any]:
    return build(Backbone(name=name, pretrained=False, input_size=96), Settings(family="ssd"), FRESH, 2, "squash")


def objects(boxes: list[list[int]], labels: list[int]) -> Targets:
    corners: Tensor = torch.tensor(boxes).float().reshape(-1, 4)
    return Targets(corners, torch.tensor(labels, dtype=torch.int64), torch.zeros(len(boxes), dtype=torch.bool))
