"""Objects and places without any, and the probe that tells them apart on held-out images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgetl.explore.select.held_out import cross_validate
from edgetl.explore.select.objects import examples_of
from edgetl.types import Box, Boxes, Sample

HEIGHT, WIDTH = 60, 80


def shots_of(folder: Path, *labeled: Boxes) -> list[Sample]:
    samples = []
    for number, boxes in enumerate(labeled):
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / f"{number}.png")
        samples.append(Sample(str(folder / f"{number}.png"), boxes, str(number)))
    return samples


def test_objects_keep_their_boxes_and_background_lies_beside_them(tmp_path: Path) -> None:
    first = (Box(0, 0, 20, 20, 1), Box(40, 20, 60, 40, 0))
    shots = shots_of(tmp_path, first, (Box(10, 10, 30, 30, 0, ignore=True), Box(50, 0, 70, 20, 0)))
    found = examples_of(shots, 2, None, seed=0)
    objects = found.regions[0][: len(first)]
    assert objects.tolist() == [[0, 0, 20, 20], [40, 20, 60, 40]]
    assert found.labels[:2].tolist() == [1, 0]
    assert found.count == 3
    assert found.groups == (0, 0, 0, 1, 1)  # each has one place without an object
    for shot, regions in zip(shots, found.regions, strict=True):
        x0, y0, x1, y1 = regions[-1].tolist()
        assert 0 <= x0 < x1 <= WIDTH
        assert 0 <= y0 < y1 <= HEIGHT
        for box in shot.boxes:  # the ignored one too
            shared = max(0.0, min(x1, box.x1) - max(x0, box.x0)) * max(0.0, min(y1, box.y1) - max(y0, box.y0))
            assert shared <= 0.1 * (x1 - x0) * (y1 - y0) + 1e-6


def test_a_frequent_class_gives_at_most_forty_objects_or_four_times_the_rarest(tmp_path: Path) -> None:
    many = tuple(Box(x, y, x + 4, y + 4, 0) for x in range(0, 60, 5) for y in range(0, 50, 5))
    found = examples_of(shots_of(tmp_path, many, (Box(0, 0, 9, 9, 1),)), 2, None, seed=0)
    assert np.bincount(found.labels)[:2].tolist() == [40, 1]


def test_an_image_filled_by_its_object_has_no_background(tmp_path: Path) -> None:
    found = examples_of(shots_of(tmp_path, (Box(0, 0, WIDTH, HEIGHT, 0),)), 1, None, seed=0)
    assert found.labels.tolist() == [0]


def test_groups_are_those_of_the_shots(tmp_path: Path) -> None:
    shots = shots_of(tmp_path, (Box(0, 0, 9, 9, 0),), (Box(0, 0, 9, 9, 0),))
    assert set(examples_of(shots, 1, ["night", "night"], seed=0).groups) == {"night"}


def grouped_noise(images: int, each: int) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """What the objects of one image have in common says nothing about their class."""
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(images), each)
    features = 5 * generator.normal(size=(images, 40))[groups] + 0.1 * generator.normal(size=(len(groups), 40))
    return features, (groups % 2).astype(np.int64), groups.tolist()


def test_objects_of_one_image_are_held_out_together() -> None:
    features, labels, groups = grouped_noise(12, 10)
    alone = cross_validate(features, labels, 2, seed=0)
    together = cross_validate(features, labels, 2, seed=0, groups=groups)
    assert alone is not None
    assert together is not None
    assert alone.top1.value > 0.95  # their neighbors of the same image give them away
    assert together.top1.low <= 0.5 <= together.top1.high
    assert (together.images, len(together.right)) == (12, 12)


def test_a_class_in_a_single_image_leaves_nothing_to_hold_out() -> None:
    features, _, groups = grouped_noise(4, 5)
    labels = np.array([int(group == 0) for group in groups])
    assert cross_validate(features, labels, 2, seed=0, groups=groups) is None


def test_each_image_counts_the_same() -> None:
    features, labels, groups = grouped_noise(6, 8)
    found = cross_validate(features, labels, 2, seed=0, groups=groups)
    assert found is not None
    assert found.top1.value == pytest.approx(np.mean(found.right))
