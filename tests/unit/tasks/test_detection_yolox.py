"""YOLOX: published weights load whatever their release, and the network learns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import conv2d

from edgetl.errors import UsageError, WeightsError
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.recipe import Detector as Settings
from edgetl.tasks.detection.networks.base import Targets
from edgetl.tasks.detection.networks.yolox import Assignment, Yolox
from edgetl.tasks.detection.networks.yolox_build import build
from edgetl.types import WeightSource

pytestmark = [pytest.mark.stage, pytest.mark.usefixtures("one_thread")]

NANO = Backbone(name="yolox_nano", input_size=64)
FRESH = WeightSource("none")


def fresh(num_classes: int = 2) -> Yolox:
    return build(NANO, Settings(), FRESH, num_classes, "squash")[0]


def of_its_authors(network: Yolox) -> dict[str, Tensor]:
    """The state of `network` with the names and the stem of the published files."""
    named = {}
    for name, tensor in network.network.state_dict().items():
        name = re.sub(r"^backbone\.", "backbone.backbone.", name)
        name = re.sub(r"^head\.neck\.", "backbone.", name)
        named[re.sub(r"^head\.predict\.", "head.", name)] = tensor.clone()
    stem = "backbone.backbone.stem.conv.conv.weight"
    squares = [named[stem][:, :, bottom::2, right::2] for right in (0, 1) for bottom in (0, 1)]
    return {**named, stem: torch.cat(squares, 1)}


def saved(tensors: dict[str, Tensor], folder: Path) -> WeightSource:
    path = folder / "yolox_nano.pth"
    torch.save({"model": tensors, "start_epoch": 300}, path)
    return WeightSource("file", str(path))


def test_weights_of_the_authors_are_loaded_by_their_names(tmp_path: Path) -> None:
    network = fresh()
    weights = of_its_authors(network)
    assert weights["backbone.backbone.stem.conv.conv.weight"].shape == (16, 12, 3, 3)
    assert {"backbone.C3_p4.m.0.conv2.dconv.conv.weight", "head.reg_convs.2.1.pconv.bn.weight"} < weights.keys()

    loaded, spec, audit = build(NANO, Settings(), saved(weights, tmp_path), 2, "squash", keep_classes=True)

    assert audit.new == ()
    assert all(
        torch.equal(a, b) for a, b in zip(loaded.state_dict().values(), network.state_dict().values(), strict=True)
    )
    assert spec.preprocessing.resize == "letterbox-corner"


def test_the_stem_is_the_convolution_over_squares_of_pixels() -> None:
    weight = of_its_authors(network := fresh())["backbone.backbone.stem.conv.conv.weight"]
    x = torch.randn(1, 3, 64, 64)
    squares = (x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2])
    expected = conv2d(torch.cat(squares, 1), weight, padding=1)
    assert torch.allclose(network.network.backbone.stem.conv.conv(x), expected, atol=1e-5)


def test_weights_for_bytes_in_bgr_become_weights_for_bytes_in_rgb(tmp_path: Path) -> None:
    weights = of_its_authors(network := fresh())
    sums = weights["backbone.backbone.stem.conv.conv.weight"].sum((1, 2, 3))
    weights["backbone.backbone.stem.conv.bn.running_mean"] = 110 * sums  # as measured on pixels around 110

    loaded, spec, _ = build(NANO, Settings(), saved(weights, tmp_path), 2, "squash")

    assert (spec.preprocessing.mean, spec.preprocessing.std) == ((0, 0, 0), (1 / 255, 1 / 255, 1 / 255))
    ours, theirs = loaded.network.backbone.stem.conv.conv, network.network.backbone.stem.conv.conv
    assert torch.equal(ours.weight, theirs.weight.flip(1))


def test_another_number_of_classes_keeps_everything_but_the_class_layers(tmp_path: Path) -> None:
    weights = of_its_authors(fresh(7))
    loaded, _, audit = build(NANO, Settings(), saved(weights, tmp_path), 2, "squash")
    assert all("cls_preds" in name for name in audit.new)
    assert len(audit.new) == 6
    assert torch.equal(loaded.state_dict()["network.head.predict.reg_preds.0.bias"], weights["head.reg_preds.0.bias"])


def test_weights_of_another_network_are_refused_in_one_line(tmp_path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(8, 3, 3, 3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="do not fit `yolox_nano`") as refused:
        build(NANO, Settings(), WeightSource("file", str(tmp_path / "other.safetensors")), 2, "squash")
    assert "\n" not in str(refused.value)


def test_weights_of_a_larger_sibling_are_refused(tmp_path: Path) -> None:
    weights = of_its_authors(fresh())
    with pytest.raises(WeightsError, match="do not fit `yolox_tiny`"):
        build(Backbone(name="yolox_tiny"), Settings(), saved(weights, tmp_path), 2, "squash")


@pytest.mark.parametrize(
    ("backbone", "said"),
    [
        (Backbone(name="yolox_nano", input_size=100), "multiples of 32 pixels; found 100x100"),
        (Backbone(name="yolox_mano"), "did you mean `yolox_nano`"),
    ],
)
def test_unsuitable_requests_are_refused(backbone: Backbone, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build(backbone, Settings(), FRESH, 2, "squash")


def test_a_missing_file_is_not_downloaded() -> None:
    with pytest.raises(WeightsError, match=r"expected a file with its weights: yolox_nano\.pth"):
        build(NANO, Settings(), WeightSource("hub"), 2, "squash")


@pytest.mark.parametrize("assignment", ["center", "simota"])
def test_a_few_steps_find_the_objects_of_two_images(assignment: Assignment) -> None:
    torch.manual_seed(0)
    network = fresh().train()
    network.assignment = assignment
    images = torch.zeros(2, 3, 64, 64)
    images[0, 0, 8:40, 8:40], images[1, 1, 20:60, 30:62] = 2.0, 2.0
    targets = [objects([8, 8, 40, 40], label=0), objects([30, 20, 62, 60], label=1)]
    optimizer = torch.optim.AdamW(network.parameters(), 5e-3)
    for _ in range(60):
        optimizer.zero_grad()
        network.training_loss(images, targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        boxes, scores = network.decode(network.network(images))
    for image, target in enumerate(targets):
        best = scores[image].amax(1).argmax()
        assert scores[image, best].argmax() == target.labels[0]
        assert torch.allclose(boxes[image, best], target.boxes[0], atol=8)


def test_images_without_objects_have_a_loss_and_ignored_ones_none_there() -> None:
    network, images = fresh(), torch.randn(1, 3, 64, 64)
    nothing = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.bool))
    everywhere = Targets(torch.tensor([[-1.0, -1, 65, 65]]), torch.tensor([0]), torch.tensor([True]))
    assert network.training_loss(images, [nothing]) > 0
    assert network.training_loss(images, [everywhere]) == 0


def objects(*boxes: list[float], label: int) -> Targets:
    count = len(boxes)
    return Targets(torch.tensor(boxes).float(), torch.full((count,), label), torch.zeros(count, dtype=torch.bool))
