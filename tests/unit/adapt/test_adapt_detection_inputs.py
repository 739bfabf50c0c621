"""Shots at the input's size with their objects, and the features of cached views."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_detections import samples_in
from torch import Tensor

from edgetl.adapt.detection.inputs import FreshViews, cached_views
from edgetl.adapt.detection.shots import Shots
from edgetl.adapt.detection.train import features_of
from edgetl.adapt.detection.views import ranges_of
from edgetl.backbones.feature_maps import build_feature_maps
from edgetl.recipes.recipe import Backbone
from edgetl.types import Box, ImagePreprocessing, WeightSource

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
HALF = (0.5, 0.5, 0.5)
LETTERBOX = ImagePreprocessing(36, 72, "letterbox", HALF, HALF)


def ignore(steps: int = 1, detail: str = "") -> None:
    return None


def test_objects_lie_in_the_pixels_of_the_input(tmp_path: Path) -> None:
    (sample,) = samples_in(tmp_path / "images", 1, seed=0)
    sample = replace(sample, truth=(Box(0, 0, 72, 64, 1), Box(16, 32, 32, 64, 0, ignore=True)))
    shots = Shots([sample], LETTERBOX)  # 72x64 pixels become 41x36, from column 15
    (targets,) = shots.targets
    assert targets.boxes[0].tolist() == pytest.approx([15, 0, 56, 36])
    assert targets.boxes[1].tolist() == pytest.approx([15 + 16 * 41 / 72, 18, 15 + 32 * 41 / 72, 36])
    assert targets.labels.tolist() == [1, 0]
    assert targets.ignore.tolist() == [False, True]


def test_images_are_the_same_kept_in_memory_or_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = samples_in(tmp_path / "images", 3, seed=0)
    kept = Shots(samples, LETTERBOX)
    monkeypatch.setattr("edgetl.adapt.detection.shots.MOST_BYTES", 0)
    again = Shots(samples, LETTERBOX)
    assert torch.equal(kept.images([2, 0]), again.images([2, 0]))
    assert kept.images([1]).shape == (1, 3, 36, 72)


def test_cached_features_are_those_of_the_views_they_stand_for(tmp_path: Path) -> None:
    p = ImagePreprocessing(64, 64, "squash", HALF, HALF)
    shots = Shots(samples_in(tmp_path / "images", 5, seed=0), p)
    backbone = Backbone(name="test_resnet", input_size=64, pretrained=False)
    maps, _, _ = build_feature_maps(backbone, WeightSource("none"), "squash", (8, 16, 32))
    seen: list[Tensor] = []

    def features(images: Tensor) -> tuple[Tensor, ...]:
        seen.append(images)
        found: tuple[Tensor, ...] = maps(images)
        return found

    cached = cached_views(features, shots, ranges_of("natural"), 3, 0, CPU, ignore)
    views = torch.stack([torch.cat(seen[turn : turn + 2]) for turn in (0, 2, 4)])  # five images, at most four at once
    torch.testing.assert_close(views[1], views[0].flip(3), atol=1e-5, rtol=0)
    generator = torch.Generator().manual_seed(0)
    batch = cached.batch([4, 1, 2], generator)
    chosen = torch.randint(3, (3,), generator=torch.Generator().manual_seed(0)).tolist()
    with torch.no_grad():
        expected = maps(views[chosen, [4, 1, 2]])
    for found, want in zip(batch.given, expected, strict=True):
        torch.testing.assert_close(found, want)
    assert len(batch.targets) == 3


def test_a_frozen_backbone_gives_the_same_features_with_its_batch_norms_merged() -> None:
    backbone = Backbone(name="test_byobnet", input_size=64, pretrained=False)
    maps, _, _ = build_feature_maps(backbone, WeightSource("none"), "squash", (8, 16, 32))
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for found, want in zip(features_of(maps, images)(images), maps(images), strict=True):
            torch.testing.assert_close(found, want, atol=1e-5, rtol=1e-4)


def test_fresh_views_depend_only_on_their_generator(tmp_path: Path) -> None:
    shots = Shots(samples_in(tmp_path / "images", 3, seed=0), LETTERBOX)
    inputs = FreshViews(shots, ranges_of("natural"), CPU)
    one, two = (inputs.batch([0, 2], torch.Generator().manual_seed(3)) for _ in range(2))
    assert isinstance(one.given, Tensor)
    assert isinstance(two.given, Tensor)
    assert torch.equal(one.given, two.given)
    assert torch.equal(one.targets[1].boxes, two.targets[1].boxes)
