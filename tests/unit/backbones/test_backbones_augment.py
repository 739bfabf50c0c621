"""Training views."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgetl.backbones.augment import Augment
from edgetl.errors import UsageError

POLICIES = ["none", "light", "text", "natural", "overhead"]


def _images(count: int = 4, height: int = 24, width: int = 24) -> Tensor:
    return torch.randint(
        0, 256, (count, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


def _arrow(size: int = 32) -> Tensor:
    """A picture whose right half is bright: its flip and its quarter turns are all different."""
    image = torch.zeros(1, 3, size, size, dtype=torch.uint8)
    image[..., size // 2 :] = 255
    return image


@settings(max_examples=25, deadline=None)
@given(policy=st.sampled_from(POLICIES), height=st.integers(4, 20), width=st.integers(4, 20), seed=st.integers(0, 99))
def test_views_keep_shape_and_range_and_follow_from_the_generator(
    policy: str, height: int, width: int, seed: int
) -> None:
    images = _images(3, height, width)
    before = images.clone()
    augment = Augment(policy, height, width)
    one, two = (augment(images, torch.Generator().manual_seed(seed)) for _ in range(2))
    assert one.shape == images.shape
    assert one.dtype == torch.float32
    assert one.min() >= 0
    assert one.max() <= 255
    assert torch.equal(one, two)
    assert torch.equal(images, before)


def test_the_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    Augment("overhead", 24, 24)(_images(), torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), state)


def test_no_augmentation_is_the_image_itself() -> None:
    assert torch.equal(Augment("none", 24, 24)(_images(), torch.Generator()), _images().float())


@pytest.mark.parametrize("policy", POLICIES[1:])
def test_images_of_one_batch_get_different_views(policy: str) -> None:
    images = _images(1).expand(2, -1, -1, -1)
    one, two = Augment(policy, 24, 24)(images, torch.Generator().manual_seed(0))
    assert not torch.equal(one, two)


def _sides(policy: str, views: int = 64) -> set[str]:
    """Where the bright half went, over many views."""
    shown = Augment(policy, 32, 32)(_arrow().expand(views, -1, -1, -1), torch.Generator().manual_seed(0)).mean(1)
    bright = {
        "left": shown[:, :, :16].mean((1, 2)),
        "right": shown[:, :, 16:].mean((1, 2)),
        "top": shown[:, :16].mean((1, 2)),
        "bottom": shown[:, 16:].mean((1, 2)),
    }
    names = list(bright)
    return {names[index] for index in torch.stack(list(bright.values())).argmax(0).tolist()}


def test_text_and_light_never_flip_or_turn() -> None:
    assert _sides("text") == {"right"}
    assert _sides("light") == {"right"}


def test_natural_flips_left_and_right_only() -> None:
    assert _sides("natural") == {"left", "right"}


def test_overhead_turns_every_way() -> None:
    assert _sides("overhead") == {"left", "right", "top", "bottom"}


def test_rotation_keeps_shapes_in_pictures_that_are_not_square() -> None:
    image = torch.zeros(1, 3, 40, 80, dtype=torch.uint8)
    image[:, :, 10:30, 30:50] = 255
    views = Augment("text", 40, 80)(image.expand(200, -1, -1, -1), torch.Generator().manual_seed(0))
    area = (views.mean(1) > 100).float().sum((1, 2)) / 400
    assert float(area.min()) > 0.6
    assert float(area.max()) < 1.7  # scale squared, 1 / 0.85 ** 2 at most, and the resampled rim


def test_wrong_images_and_policies_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        Augment("text", 24, 24)(_images().float(), torch.Generator())
    with pytest.raises(ValueError, match="24, 25"):
        Augment("text", 24, 25)(_images(), torch.Generator())
    with pytest.raises(UsageError, match="did you mean `natural`"):
        Augment("naturel", 24, 24)
