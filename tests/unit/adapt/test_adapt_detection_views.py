"""Training views: boxes move as their pixels do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from edgetl.adapt.detection.views import Move, draw, flips, move_images, move_targets, ranges_of, recolor
from edgetl.tasks.detection.networks.base import Targets

pytestmark = pytest.mark.usefixtures("one_thread")
HEIGHT, WIDTH = 64, 96
FILL = (10, 20, 30)


def square(x0: int, y0: int, x1: int, y1: int) -> tuple[Tensor, Targets]:
    image = torch.full((1, 3, HEIGHT, WIDTH), 100.0)
    image[:, :, y0:y1, x0:x1] = 255.0
    box = torch.tensor([[x0, y0, x1, y1]], dtype=torch.float32)
    return image, Targets(box, torch.tensor([0]), torch.tensor([False]))


def extent(image: Tensor) -> list[float]:
    """Corners of what is bright."""
    rows, columns = (image[0, 0] > 190).nonzero(as_tuple=True)
    return [float(columns.min()), float(rows.min()), float(columns.max()) + 1, float(rows.max()) + 1]


@pytest.mark.parametrize("policy", ["light", "text", "natural", "overhead"])
def test_boxes_lie_where_their_objects_do_in_every_view(policy: str) -> None:
    image, target = square(40, 24, 60, 40)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        move = draw(1, ranges_of(policy), HEIGHT, WIDTH, generator)
        (moved,) = move_targets([target], move, HEIGHT, WIDTH)
        assert extent(move_images(image, move, FILL)) == pytest.approx(moved.boxes[0].tolist(), abs=1.01)


def test_flips_are_exact_and_only_those_of_the_policy() -> None:
    image, target = square(10, 4, 30, 20)
    assert [len(flips(ranges_of(policy), HEIGHT, WIDTH)) for policy in ("none", "text", "natural", "overhead")] == [
        1, 1, 2, 4,
    ]  # fmt: skip
    mirrored = flips(ranges_of("natural"), HEIGHT, WIDTH)[1]
    torch.testing.assert_close(move_images(image, mirrored, FILL), image.flip(3), atol=1e-3, rtol=0)
    assert move_targets([target], mirrored, HEIGHT, WIDTH)[0].boxes.tolist() == [[66, 4, 86, 20]]
    both = flips(ranges_of("overhead"), HEIGHT, WIDTH)[3]
    torch.testing.assert_close(move_images(image, both, FILL), image.flip(2, 3), atol=1e-3, rtol=0)
    assert move_targets([target], both, HEIGHT, WIDTH)[0].boxes.tolist() == [[66, 44, 86, 60]]


def test_no_policy_without_flips_mirrors() -> None:
    for policy in ("none", "light", "text"):
        move = draw(50, ranges_of(policy), HEIGHT, WIDTH, torch.Generator().manual_seed(0))
        assert (move.scale_x > 0).all()
        assert (move.scale_y > 0).all()
    assert (draw(50, ranges_of("natural"), HEIGHT, WIDTH, torch.Generator().manual_seed(0)).scale_y > 0).all()


def test_an_object_of_which_little_is_left_is_ignored_and_one_outside_is_gone() -> None:
    boxes = torch.tensor([[0.0, 0, 20, 20], [30, 30, 50, 50], [80, 30, 90, 40]])
    targets = Targets(boxes, torch.tensor([0, 1, 2]), torch.tensor([False, False, False]))
    left = Move(torch.ones(1), torch.ones(1), torch.tensor([-15.0]), torch.zeros(1))
    (moved,) = move_targets([targets], left, HEIGHT, WIDTH)
    assert moved.boxes.tolist() == [[0, 0, 5, 20], [15, 30, 35, 50], [65, 30, 75, 40]]
    assert moved.ignore.tolist() == [True, False, False]
    image, _ = square(0, 0, 20, 20)
    assert move_images(image, left, FILL)[0, :, 0, -1].tolist() == list(FILL)
    away = Move(torch.ones(1), torch.ones(1), torch.tensor([-40.0]), torch.zeros(1))
    assert move_targets([targets], away, HEIGHT, WIDTH)[0].labels.tolist() == [1, 2]


def test_an_image_without_objects_has_views_without_objects() -> None:
    none = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.bool))
    move = draw(1, ranges_of("overhead"), HEIGHT, WIDTH, torch.Generator().manual_seed(0))
    assert move_targets([none], move, HEIGHT, WIDTH)[0].boxes.shape == (0, 4)


def test_colors_stay_in_their_range_and_plain_ranges_change_nothing() -> None:
    images = 255 * torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    changed = recolor(images, ranges_of("natural"), torch.Generator().manual_seed(0))
    assert 0 <= changed.min() <= changed.max() <= 255
    assert not torch.allclose(changed, images)
    torch.testing.assert_close(recolor(images, ranges_of("none"), torch.Generator().manual_seed(0)), images)
