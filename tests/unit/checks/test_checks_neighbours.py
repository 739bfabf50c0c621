"""Pairs across the split: what stands out and agrees as a picture is named, similar textures are not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgetl.checks.neighbours import aligned_correlation, find_neighbours

SIDE = 64


def scene(seed: int, size: int = 256) -> NDArray[np.uint8]:
    """A picture with structure of several sizes."""
    generator = np.random.default_rng(seed)
    picture = np.zeros((size, size))
    for cells in (4, 8, 16, 32):
        noise = Image.fromarray(generator.normal(0, 1, (cells, cells)).astype(np.float32))
        picture += np.asarray(noise.resize((size, size), Image.Resampling.BICUBIC))
    low, high = picture.min(), picture.max()
    return np.asarray((picture - low) / (high - low) * 255, dtype=np.uint8)


def thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def test_a_picture_agrees_with_its_crop_shift_mirror_and_another_exposure() -> None:
    picture = scene(1)
    whole = thumbnail(picture)
    changed = {
        "cropped": picture[26:230, 26:230],
        "cropped at a corner": picture[:205, :205],
        "mirrored": picture[:, ::-1],
        "darker": (picture * 0.6).astype(np.uint8),
        "lit from one side": np.clip(picture * np.linspace(0.5, 1.1, 256), 0, 255).astype(np.uint8),
    }
    for name, other in changed.items():
        assert aligned_correlation(whole, thumbnail(other)) > 0.7, name
        assert aligned_correlation(thumbnail(other), whole) > 0.7, name


def test_other_pictures_of_the_same_kind_do_not_agree() -> None:
    values = [aligned_correlation(thumbnail(scene(seed)), thumbnail(scene(seed + 100))) for seed in range(10)]
    assert max(values) < 0.75


@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_pictures_agree_with_nothing(level: int) -> None:
    blank = np.full((SIDE, SIDE), level, np.uint8)
    assert aligned_correlation(blank, blank) <= 0
    assert aligned_correlation(blank, thumbnail(scene(0))) <= 0


def textures(count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.uint8]]:
    generator = np.random.default_rng(0)
    features = (5 + generator.normal(0, 1, (count, 24))).astype(np.float32)
    thumbnails = np.stack([thumbnail(scene(seed)) for seed in range(count)])
    return features, np.arange(count) >= count // 3, thumbnails


def test_a_set_of_similar_textures_raises_nothing() -> None:
    assert find_neighbours(*textures(36)) == ()


def test_one_scene_on_both_sides_is_named() -> None:
    features, is_val, thumbnails = textures(36)
    features[30] = features[4] + 0.1
    thumbnails[30] = thumbnail(scene(4)[14:242, 14:242])
    (pair,) = find_neighbours(features, is_val, thumbnails)
    assert (pair.shot, pair.val) == (4, 30)
    assert pair.ratio < 0.5
    assert pair.correlation > 0.85


def test_features_alone_are_not_believed_and_neither_are_thumbnails() -> None:
    features, is_val, thumbnails = textures(36)
    features[30] = features[4] + 0.1
    assert find_neighbours(features, is_val, thumbnails) == ()
    features, is_val, thumbnails = textures(36)
    thumbnails[30] = thumbnails[4]
    assert find_neighbours(features, is_val, thumbnails) == ()


def test_pictures_of_a_few_pixels_are_no_evidence() -> None:
    features, is_val, thumbnails = textures(36)
    features[30] = features[4] + 0.1
    thumbnails[[4, 30]] = thumbnail(scene(4, 8))
    assert find_neighbours(features, is_val, thumbnails) == ()


def test_two_of_one_side_are_no_leak() -> None:
    features, is_val, thumbnails = textures(36)
    features[31], thumbnails[31] = features[30] + 0.1, thumbnails[30]
    assert find_neighbours(features, is_val, thumbnails) == ()


def test_an_empty_side_has_no_pairs() -> None:
    features, _, thumbnails = textures(6)
    assert find_neighbours(features, np.zeros(6, np.bool_), thumbnails) == ()
