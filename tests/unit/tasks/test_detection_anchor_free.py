"""The anchor-free detector: decoding, assignment, loss, and that it comes back from disk as it was."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.errors import UsageError, WeightsError
from edgetl.pivot.fold import foldable
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.recipe import Detector as Settings
from edgetl.tasks.detection.networks.anchor_free import AnchorFree
from edgetl.tasks.detection.networks.anchor_free_loss import Level, anchor_free_loss, assign, overlap
from edgetl.tasks.detection.networks.base import Targets
from edgetl.tasks.detection.networks.build import build, family_of, rebuild
from edgetl.tasks.detection.spec import DetectorSpec, read_detector_spec, write_detector_spec
from edgetl.types import WeightSource

pytestmark = pytest.mark.usefixtures("one_thread")

LEVELS = (Level(8, 8, 8), Level(16, 4, 4), Level(32, 2, 2))
POINTS = torch.cat([level.points() for level in LEVELS])


def small(classes: int = 2, name: str = "test_byobnet", **settings: int) -> tuple[AnchorFree, DetectorSpec]:
    backbone = Backbone(name=name, input_size=64, pretrained=False)
    detector, spec, _ = build(backbone, Settings(width=16, **settings), WeightSource("none"), classes, "squash")
    assert isinstance(detector, AnchorFree)
    return detector, spec


def objects(*boxes: tuple[float, float, float, float], labels: tuple[int, ...] = (), ignore: int = -1) -> Targets:
    """The last one is a region to ignore if `ignore` is its index."""
    count = len(boxes)
    named = torch.tensor(labels or (0,) * count, dtype=torch.int64)
    return Targets(torch.tensor(boxes).reshape(-1, 4), named, torch.arange(count) == ignore)


def at(x: float, y: float, stride: int) -> int:
    """The row of the position with this center on the level of this stride."""
    start = sum(level.size for level in LEVELS if level.stride < stride)
    level = next(level for level in LEVELS if level.stride == stride)
    return start + int(y // stride) * level.columns + int(x // stride)


def test_a_position_is_decoded_into_the_box_its_distances_describe() -> None:
    detector, _ = small()
    maps = []
    for level in detector.levels:
        logits = torch.full((1, 2, level.rows, level.columns), -5.0)
        distances = torch.zeros(1, 4, level.rows, level.columns)
        maps += [logits, distances]
    maps[0][0, 1, 2, 3] = 0.0  # stride 8, row 2, column 3: center (28, 20)
    maps[1][0, :, 2, 3] = torch.tensor([1.0, 2.0, 0.5, 1.5]).log()
    boxes, scores = detector.decode(tuple(maps))
    row = at(28, 20, 8)
    assert boxes.shape == (1, 84, 4)
    assert scores.shape == (1, 84, 2)
    assert boxes[0, row].tolist() == pytest.approx([20, 4, 32, 32])
    assert scores[0, row].tolist() == pytest.approx([1 / (1 + math.e**5), 0.5])


def test_no_exponent_makes_a_box_infinite() -> None:
    detector, _ = small()
    maps = tuple(torch.full((1, each, level.rows, level.columns), 1e6) for level in detector.levels for each in (2, 4))
    assert detector.decode(maps)[0].isfinite().all()


def test_an_object_belongs_to_the_positions_near_its_center_on_the_level_of_its_size() -> None:
    labels = assign(POINTS, LEVELS, [objects((4, 4, 44, 44), labels=(1,))]).labels[0]
    # the center is (24, 24); positions 12 pixels away from it are 1.5 strides away, which is too far
    near = [at(x, y, 8) for y in (20, 28) for x in (20, 28)]
    assert (labels >= 0).nonzero().squeeze(1).tolist() == near
    assert labels[near].tolist() == [1, 1, 1, 1]


def levels_of(width: float, height: float) -> list[int]:
    """Strides of the levels that answer for an object of this size."""
    labels = assign(POINTS, LEVELS, [objects((0, 0, width, height))]).labels[0]
    found = zip(LEVELS, torch.split(labels, [level.size for level in LEVELS]), strict=True)
    return [level.stride for level, mine in found if (mine >= 0).any()]


def test_an_object_between_two_levels_belongs_to_both() -> None:
    assert levels_of(40, 40) == [8]
    assert levels_of(44, 44) == [8, 16]
    assert levels_of(50, 50) == [16]
    assert levels_of(90, 90) == [16, 32]
    assert levels_of(110, 110) == [32]


def test_an_elongated_object_belongs_to_all_levels_from_its_width_to_its_length() -> None:
    assert levels_of(60, 31) == [16]
    assert levels_of(60, 29) == levels_of(29, 60) == [8, 16]
    assert levels_of(110, 20) == [8, 16, 32]
    assert levels_of(110, 50) == [16, 32]


def test_an_object_smaller_than_the_gap_between_positions_has_the_nearest_one() -> None:
    labels = assign(POINTS, LEVELS, [objects((16.5, 17, 18.5, 19))]).labels[0]
    assert (labels >= 0).nonzero().squeeze(1).tolist() == [at(20, 20, 8)]


def test_the_smaller_of_two_objects_takes_a_position_of_both() -> None:
    assigned = assign(POINTS, LEVELS, [objects((0, 0, 40, 40), (12, 12, 28, 28), labels=(0, 1))])
    assert assigned.labels[0, at(20, 20, 8)] == 1
    assert assigned.boxes[0, at(20, 20, 8)].tolist() == [12, 12, 28, 28]


def test_images_are_assigned_alike_alone_and_in_a_batch() -> None:
    one, two, none = objects((4, 4, 30, 30)), objects((8, 8, 60, 60), (0, 0, 9, 9), labels=(1, 0)), objects()
    together = assign(POINTS, LEVELS, [one, two, none])
    for row, each in enumerate((one, two, none)):
        alone = assign(POINTS, LEVELS, [each])
        assert torch.equal(alone.labels[0], together.labels[row])
        found = alone.labels[0] >= 0
        assert torch.equal(alone.boxes[0, found], together.boxes[row, found])


def test_a_region_to_ignore_is_neither_object_nor_background() -> None:
    assigned = assign(POINTS, LEVELS, [objects((0, 0, 30, 30), ignore=0)])
    assert (assigned.labels == -1).all()
    assert assigned.unsure[0, at(12, 12, 8)]
    assert not assigned.unsure[0, at(44, 44, 8)]
    logits, boxes = torch.zeros(1, len(POINTS), 2), torch.zeros(1, len(POINTS), 4)
    plain = anchor_free_loss(logits, boxes, POINTS, LEVELS, [objects()])
    ignoring = anchor_free_loss(logits, boxes, POINTS, LEVELS, [objects((0, 0, 30, 30), ignore=0)])
    outside = int((~assigned.unsure).sum())
    assert float(ignoring / plain) == pytest.approx(outside / len(POINTS))


def test_overlaps_are_those_computed_by_hand() -> None:
    first = torch.tensor([[0.0, 0, 4, 4], [0, 0, 2, 2]])
    second = torch.tensor([[2.0, 0, 6, 4], [4, 0, 6, 2]])
    iou, generalized = overlap(first, second)
    assert iou.tolist() == pytest.approx([8 / 24, 0.0])
    assert generalized.tolist() == pytest.approx([8 / 24, -1 / 3])


def test_the_loss_is_that_computed_by_hand() -> None:
    logits, boxes = torch.full((1, len(POINTS), 1), -1000.0), torch.zeros(1, len(POINTS), 4)
    target = objects((16.5, 17, 18.5, 19))  # one position
    row = at(20, 20, 8)
    logits[0, row] = 0.0
    boxes[0, row] = torch.tensor([16.5, 17, 18.5, 21])  # overlap 1/2, also of the hull
    found = anchor_free_loss(logits, boxes, POINTS, LEVELS, [target])
    classes = 0.0  # the score is its goal, 1/2: no surprise
    assert float(found) == pytest.approx(classes + 2 * (1 - 0.5), rel=1e-5)
    logits[0, row] = 1000.0
    wrong = anchor_free_loss(logits, boxes, POINTS, LEVELS, [target])
    assert float(wrong) == pytest.approx(0.25 * 500 + 2 * (1 - 0.5), rel=1e-5)


def test_training_finds_the_object_of_one_image() -> None:
    detector, _ = small()
    image = torch.zeros(1, 3, 64, 64)
    image[:, :, 16:40, 8:32] = 1.0
    target = objects((8, 16, 32, 40), labels=(1,))
    optimizer = torch.optim.AdamW(detector.parameters(), lr=5e-3)
    for _ in range(60):
        optimizer.zero_grad()
        torch.autograd.backward(detector.training_loss(image, [target]))
        optimizer.step()
    boxes, scores = detector(image)
    best = int(scores[0].max(1).values.argmax())
    assert scores[0, best].argmax() == 1
    assert overlap(boxes[0, best : best + 1], target.boxes)[0] > 0.7


def test_every_layer_runs_once_so_that_all_batch_norms_are_folded() -> None:
    detector, _ = small()
    backbone, head = (detector.network.get_submodule(name) for name in ("backbone", "head"))
    norms = sum(isinstance(part, torch.nn.BatchNorm2d) for part in head.modules())
    pairs, count = foldable(head, backbone(torch.zeros(1, 3, 64, 64)))
    assert len(pairs) == count == norms > 0


def test_a_saved_detector_comes_back_to_the_bit(tmp_path: Path) -> None:
    detector, spec = small(3)
    _shake(detector)
    write_checkpoint(detector.state_dict(), tmp_path / "network.safetensors")
    write_detector_spec(spec, tmp_path / "network.json")
    again = rebuild(read_detector_spec(tmp_path / "network.json"), tmp_path / "network.safetensors")
    images = torch.rand(2, 3, 64, 64)
    for first, second in zip(detector(images), again(images), strict=True):
        assert torch.equal(first, second)


def test_tensors_of_another_detector_are_refused(tmp_path: Path) -> None:
    detector, _ = small(3)
    write_checkpoint(detector.state_dict(), tmp_path / "network.safetensors")
    with pytest.raises(WeightsError, match=r"network\.safetensors: not the tensors of this anchor-free detector"):
        rebuild(small(2)[1], tmp_path / "network.safetensors")


def test_new_layers_are_the_same_in_every_build() -> None:
    assert all(
        torch.equal(one, two)
        for one, two in zip(small()[0].state_dict().values(), small()[0].state_dict().values(), strict=True)
    )


def test_an_input_that_is_no_multiple_of_the_largest_stride_is_refused() -> None:
    with pytest.raises(UsageError, match=r"stride|multiples of 32"):
        build(
            Backbone(name="test_byobnet", input_size=72, pretrained=False),
            Settings(),
            WeightSource("none"),
            2,
            "squash",
        )


def test_a_detector_in_the_backbone_decides_the_family() -> None:
    assert family_of(Backbone(name="mobilenetv2_100"), Settings()) == "anchor-free"
    assert family_of(Backbone(name="yolox_nano"), Settings()) == "yolox"
    assert family_of(Backbone(name="tv_ssdlite320_mobilenet_v3_large"), Settings()) == "ssd"
    with pytest.raises(UsageError, match="`yolox_nano` is a detector of the family yolox"):
        family_of(Backbone(name="yolox_nano"), Settings(family="ssd"))


def _shake(detector: torch.nn.Module) -> None:
    """Other values than the fresh ones in every tensor."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in detector.state_dict().values():
            if tensor.is_floating_point():
                tensor += 0.1 * torch.rand(tensor.shape, generator=generator)
