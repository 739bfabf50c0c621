"""The few-shot baselines learn what can be learned, repeat, and keep what they say they keep."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

import transfer_baselines
from transfer_baselines import Answer, Pretrained, Training, center_crops, kept_crops, last_layer, logistic, tutorial
from transfer_draws import Draw, images_digest

from edgetl.backbones.weights import locate
from edgetl.recipes.recipe import Backbone
from edgetl.types import NetworkSpec, Split

SHORT = Training(epochs=2, batch=4, rate=1e-3)
LONG = Training(epochs=16, batch=4, rate=2e-3)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """A bar or a frame in black on white, anywhere: what features of printed characters tell apart."""
    dice = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 8)):
        for name in ("bar", "frame"):
            folder = tmp_path / "data" / "marks" / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = np.full((48, 60, 3), 255, np.uint8)
                top, left = dice.integers(2, 8), dice.integers(4, 16)
                pixels[top : top + 36, left : left + (8 if name == "bar" else 36)] = 0
                if name == "frame":
                    pixels[top + 8 : top + 28, left + 8 : left + 28] = 255
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return Draw(tmp_path / "data" / "marks", 4, 0).split()


@pytest.fixture
def pretrained(tmp_path: Path) -> Pretrained:
    backbone = Backbone(name="edgetl:printed_characters")
    return Pretrained(backbone, locate(backbone, tmp_path, ()), tmp_path / "cache")


def share_right(answer: Answer, split: Split) -> float:
    return float(np.mean(answer.predicted == np.array([sample.label for sample in split.val])))


def test_every_baseline_learns_what_features_tell_apart(pretrained: Pretrained, split: Split) -> None:
    for answer in (
        logistic(pretrained, split, 0),
        last_layer(pretrained, split, 0, LONG),
        tutorial(pretrained, split, 0, LONG),
    ):
        assert share_right(answer, split) >= 0.9
        assert answer.seconds > 0


def test_a_seed_gives_the_same_answers_again(pretrained: Pretrained, split: Split) -> None:
    state = torch.random.get_rng_state()
    pairs = [[method(pretrained, split, 3, SHORT).predicted for _ in range(2)] for method in (last_layer, tutorial)]
    for first, second in pairs:
        assert np.array_equal(first, second)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_fine_tuning_moves_every_parameter_and_no_batch_norm_statistic(
    pretrained: Pretrained, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[nn.Module, NetworkSpec]] = []
    keep = Pretrained.open

    def watched(self: Pretrained, classes: int) -> tuple[nn.Module, NetworkSpec]:
        opened.append(keep(self, classes))
        return opened[-1]

    monkeypatch.setattr(Pretrained, "open", watched)
    tutorial(pretrained, split, 0, SHORT)
    (network, spec), (fresh, _) = opened[0], keep(pretrained, 2)
    after, before = network.state_dict(), fresh.state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved == {name for name, _ in network.named_parameters()} | {
        name for name in after if name.startswith(spec.classifier)
    }


def test_kept_crops_follow_the_order_that_is_asked_for(pretrained: Pretrained, split: Split) -> None:
    _, spec = pretrained.open(2)
    for samples in (split.val, split.val[::-1]):
        expected = center_crops(samples, spec.image)
        assert np.array_equal(kept_crops(pretrained.cache, samples, spec), expected)
    assert len(list(pretrained.cache.iterdir())) == 1


def test_kept_crops_are_not_made_twice(pretrained: Pretrained, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    _, spec = pretrained.open(2)
    first = kept_crops(pretrained.cache, split.val, spec)

    def never(*_: object) -> None:
        raise AssertionError("they were there")

    monkeypatch.setattr(transfer_baselines, "center_crops", never)
    assert np.array_equal(kept_crops(pretrained.cache, split.val, spec), first)


def test_views_are_the_networks_size_and_differ_from_epoch_to_epoch(pretrained: Pretrained, split: Split) -> None:
    _, spec = pretrained.open(2)
    views = transfer_baselines.Views(split.shots, spec.image)
    first, second = views([0, 1, 2]), views([0, 1, 2])
    assert first.shape == (3, spec.image.height, spec.image.width, 3)
    assert not np.array_equal(first, second)


def test_the_digest_of_a_split_is_of_its_images_not_of_their_order(split: Split) -> None:
    turned = replace(split, shots=split.shots[::-1], val=split.val[::-1], resize="letterbox")
    assert images_digest(turned) == images_digest(split)
    assert images_digest(replace(split, shots=split.shots[1:])) != images_digest(split)
    assert images_digest(replace(split, shots=split.val, val=split.shots)) != images_digest(split)
