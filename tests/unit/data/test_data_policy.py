"""`auto` never mirrors what a mirror would turn into another class."""

from __future__ import annotations

import pytest

from edgetl.fronts.image.augment_policy import resize_choices, resolve_policy, why_not_mirrored


@pytest.mark.parametrize("policy", ["none", "light", "text", "natural", "overhead"])
def test_what_the_recipe_says_stands(policy: str) -> None:
    assert resolve_policy(policy, ("0", "1")) == policy


@pytest.mark.parametrize(
    ("classes", "policy"),
    [
        (("0", "1", "10"), "text"),
        (("A", "B"), "text"),
        (("digit_0", "digit_1"), "text"),
        (("letter A", "letter B"), "text"),
        (("zero", "One", "two"), "text"),
        (("7", "8", "blank"), "text"),
        (("turn left", "stop", "go"), "text"),
        (("ants", "bees"), "natural"),
        (("tumor", "no_tumor"), "natural"),
        (("upright", "leftover"), "natural"),
        (("stop", "5", "forest"), "natural"),
        ((), "natural"),
    ],
)
def test_auto_follows_the_names(classes: tuple[str, ...], policy: str) -> None:
    assert resolve_policy("auto", classes) == policy


def test_the_reason_is_told() -> None:
    assert why_not_mirrored(("1", "2")) == "the class names look like characters, which a flip would change"
    assert why_not_mirrored(("left", "other", "more")).startswith("class names mention directions")
    assert why_not_mirrored(("ants", "bees")) == ""


def test_crop_is_not_compared_where_a_picture_is_too_long_for_it() -> None:
    assert resize_choices("auto", "squash") == ("squash", "crop")
    assert resize_choices("auto", "letterbox", croppable=False) == ("letterbox", "squash")
    assert resize_choices("crop", "crop", croppable=False) == ("crop",)
