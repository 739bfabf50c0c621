"""Resizing gives the declared size, loses what it says it loses, and follows written integer rules."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgetl.errors import DataError
from edgetl.fronts.image.resize import auto_policy, resize
from edgetl.types import ImagePreprocessing, ResizePolicy


def preprocessing(
    height: int, width: int, policy: ResizePolicy, crop_pct: float = 0.875, interpolation: str = "bilinear"
) -> ImagePreprocessing:
    kind: Literal["bilinear", "bicubic"] = "bicubic" if interpolation == "bicubic" else "bilinear"
    return ImagePreprocessing(height, width, policy, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), crop_pct, kind, (1, 2, 3))


def ramp(height: int, width: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Red is the row, green the column."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[:, :, 0] = np.arange(height)[:, None]
    rgb[:, :, 1] = np.arange(width)[None, :]
    return rgb


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["squash", "crop", "letterbox"]),
    st.sampled_from([0.1, 0.5, 0.875, 0.95, 1.0]),
    st.sampled_from(["bilinear", "bicubic"]),
)
def test_any_size_becomes_the_declared_one(
    h: int, w: int, height: int, width: int, policy: ResizePolicy, crop_pct: float, interpolation: str
) -> None:
    result = resize(np.full((h, w, 3), 77, np.uint8), preprocessing(height, width, policy, crop_pct, interpolation))
    assert result.shape == (height, width, 3)
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous
    colors = {tuple(int(v) for v in pixel) for pixel in result.reshape(-1, 3)}
    assert (77, 77, 77) in colors
    assert colors <= ({(77, 77, 77), (1, 2, 3)} if policy == "letterbox" else {(77, 77, 77)})


@pytest.mark.parametrize("policy", ["squash", "letterbox"])
def test_a_picture_of_the_right_size_is_unchanged(policy: ResizePolicy) -> None:
    assert (resize(ramp(20, 20), preprocessing(20, 20, policy)) == ramp(20, 20)).all()


def test_crop_without_margin_keeps_the_middle() -> None:
    result = resize(ramp(20, 60), preprocessing(20, 20, "crop", crop_pct=1.0))
    assert (result == ramp(20, 60)[:, 20:40]).all()


def test_crop_resizes_the_shorter_side_by_crop_pct() -> None:
    # 8 / 0.8 = 10: a 10 x 30 picture is already there; its middle 8 x 8 is kept
    assert (resize(ramp(10, 30), preprocessing(8, 8, "crop", 0.8)) == ramp(10, 30)[1:9, 11:19]).all()


def test_crop_rounds_half_up() -> None:
    # 5 / 0.4 = 12.5 -> 13, not 12
    assert (resize(ramp(13, 13), preprocessing(5, 5, "crop", 0.4)) == ramp(13, 13)[4:9, 4:9]).all()


def test_crop_of_an_oblong_target_covers_it() -> None:
    # covers 10 x 20; 10 x 40 is already the smallest such size
    assert (resize(ramp(10, 40), preprocessing(10, 20, "crop", 1.0)) == ramp(10, 40)[:, 10:30]).all()
    assert (resize(ramp(40, 20), preprocessing(10, 20, "crop", 1.0)) == ramp(40, 20)[15:25]).all()


def test_letterbox_pads_evenly_and_the_odd_line_goes_last() -> None:
    result = resize(np.full((4, 8, 3), 200, np.uint8), preprocessing(9, 8, "letterbox"))
    padded = [bool((row == (1, 2, 3)).all()) for row in result]
    assert padded == [True, True, False, False, False, False, True, True, True]
    assert (result[2:6] == 200).all()


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 64), st.integers(1, 64))
def test_letterbox_keeps_the_shape_within_half_a_pixel(h: int, w: int, height: int, width: int) -> None:
    result = resize(np.full((h, w, 3), 200, np.uint8), preprocessing(height, width, "letterbox"))
    inside = (result == 200).all(axis=2)
    rows, columns = int(inside.any(axis=1).sum()), int(inside.any(axis=0).sum())
    by_height, by_width = Fraction(height, h), Fraction(width, w)
    scale = by_height if by_height < by_width else by_width
    assert abs(rows - max(scale * h, Fraction(1))) <= Fraction(1, 2)
    assert abs(columns - max(scale * w, Fraction(1))) <= Fraction(1, 2)


def test_reduction_is_antialiased() -> None:
    checkers = np.zeros((64, 64, 3), np.uint8)
    checkers[::2, ::2] = checkers[1::2, 1::2] = 255
    result = resize(checkers, preprocessing(8, 8, "squash")).astype(int)
    assert np.abs(result - 128).max() <= 2


def test_interpolations_differ() -> None:
    step = np.zeros((4, 4, 3), np.uint8)
    step[:, 2:] = 200
    linear = resize(step, preprocessing(16, 16, "squash"))
    cubic = resize(step, preprocessing(16, 16, "squash", interpolation="bicubic"))
    assert linear.max() == 200
    assert cubic.max() > 200  # bicubic overshoots


def test_squash_is_what_pillow_does() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (57, 91, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(noise).resize((32, 24), Image.Resampling.BILINEAR))
    assert (resize(noise, preprocessing(24, 32, "squash")) == expected).all()


def test_crop_of_an_absurdly_elongated_picture_is_refused() -> None:
    with pytest.raises(DataError, match=r"too elongated for `resize: crop`.*use squash or letterbox"):
        resize(np.zeros((1, 3000, 3), np.uint8), preprocessing(224, 224, "crop"))


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3))])
def test_other_arrays_are_refused(wrong: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        resize(wrong, preprocessing(4, 4, "squash"))


@pytest.mark.parametrize(
    ("sizes", "policy", "reason"),
    [
        ([(100, 100)] * 5, "squash", "nearly square"),
        ([(100, 120), (120, 100)] * 5, "squash", "nearly square"),
        ([(400, 100)] * 10, "squash", "cut off ends, squashing keeps everything and distorts all equally"),
        ([(100, 300)] * 10, "squash", "crop would cut off ends"),
        ([(300, 200), (200, 300)] * 10, "squash", "loses less resolution than padding"),
        ([(300, 100), (100, 300)] * 10, "letterbox", "portrait and landscape are mixed"),
        ([(100, 100)] * 99 + [(100, 900)], "squash", "nearly square"),
        ([(50, 50)], "squash", "nearly square"),
    ],
)
def test_auto_policy_keeps_everything(sizes: list[tuple[int, int]], policy: str, reason: str) -> None:
    chosen, why = auto_policy(sizes)
    assert chosen == policy
    assert reason in why


def test_auto_policy_tells_what_it_measured() -> None:
    assert "width/height of 2 images: 10 % 2.00, median 2.00, 90 % 2.00" in auto_policy([(10, 20), (20, 40)])[1]


@given(st.lists(st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)), min_size=1, max_size=30))
def test_auto_policy_never_crops(sizes: list[tuple[int, int]]) -> None:
    assert auto_policy(sizes)[0] in ("squash", "letterbox")


def test_auto_policy_needs_sizes() -> None:
    with pytest.raises(ValueError, match="at least one"):
        auto_policy([])
