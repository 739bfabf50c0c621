"""What is trained in a detector of each family, at what rate, and that a step of every way is possible."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from edgetl.adapt.detection.budget import affordable, search_minutes
from edgetl.adapt.detection.inputs import Batch
from edgetl.adapt.detection.train import Plan, train
from edgetl.adapt.detection.views import ranges_of
from edgetl.adapt.detection.ways import Anatomy, anatomy, views_to_cache, ways_to_train
from edgetl.recipes.recipe import Adapt, Backbone
from edgetl.recipes.recipe import Detector as Settings
from edgetl.tasks.classification.folds import Fold
from edgetl.tasks.detection.networks.base import Detector, Targets
from edgetl.tasks.detection.networks.build import build
from edgetl.types import WeightSource

pytestmark = pytest.mark.usefixtures("one_thread")
FAMILIES = {
    "anchor-free": ("test_resnet", Settings(width=16)),
    "ssd": ("test_resnet", Settings(family="ssd", width=16)),
    "faster-rcnn": ("test_resnet", Settings(family="faster-rcnn", width=16)),
    "yolox": ("yolox_nano", Settings()),
}
TARGETS = Targets(torch.tensor([[8.0, 8, 40, 40]]), torch.tensor([1]), torch.tensor([False]))


def small(family: str, config: Adapt | None = None, pretrained_head: bool = False) -> tuple[Detector, Anatomy]:
    name, settings = FAMILIES[family]
    backbone = Backbone(name=name, input_size=64, pretrained=False)
    detector, spec, _ = build(backbone, settings, WeightSource("none"), 2, "squash")
    head = [name for name, _ in detector.named_parameters() if ".backbone." not in name]
    new = [name for name in head if "cls_preds" in name] if pretrained_head else head
    return detector, anatomy(detector, tuple(new), spec.preprocessing, config or Adapt())


class _Same:
    """The same image in every step, or the features of it."""

    def __init__(self, detector: Detector, *, cached: bool) -> None:
        backbone = detector.backbone
        image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        self._given = tuple(each.detach() for each in backbone(image)) if cached else image

    def batch(self, indices: object, generator: object) -> Batch:
        twice = self._given.repeat(2, 1, 1, 1) if isinstance(self._given, torch.Tensor) else None
        return Batch(twice if twice is not None else tuple(x.repeat(2, 1, 1, 1) for x in self._given), [TARGETS] * 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains_its_head_alone_or_with_the_last_stages(family: str) -> None:
    detector, body = small(family)
    assert 0 < len(body.late) < len([name for name in body.parameters if name.startswith(body.backbone)])
    assert body.backbone_macs > 0
    assert body.head_macs > 0
    frozen, late, other = ways_to_train(body, "anchor-free", Adapt(), views=4, shots=10, pretrained=True)
    assert (frozen.frozen, frozen.cached, late.frozen, late.cached, other.frozen) == (True, True, False, False, True)
    assert set(frozen.rates) == set(body.head)
    assert set(late.rates) == {*body.head, *body.late}
    for way in (frozen, late):
        before = {name: each.clone() for name, each in detector.named_parameters()}
        losses = train(
            detector,
            _Same(detector, cached=way.cached),
            range(2),
            Plan(way.rates, body.new, 2, 2, 0.01, 0),
            lambda *_: None,
        )
        moved = {name for name, each in detector.named_parameters() if not torch.equal(each, before[name])}
        assert len(losses) == 2
        assert moved <= set(way.rates)
        assert any(name in body.head for name in moved)
        assert not detector.training


def test_a_whole_detector_keeps_its_boxes_or_trains_them_at_a_tenth() -> None:
    detector, body = small("yolox", pretrained_head=True)
    first, late, second, third = ways_to_train(body, "yolox", Adapt(), views=4, shots=10, pretrained=True)
    assert set(first.rates) == set(body.new) == {name for name in body.parameters if "cls_preds" in name}
    assert set(second.rates) == set(body.head)
    boxes = next(name for name in body.parameters if "reg_preds" in name)
    classes = next(iter(body.new))
    assert second.rates[boxes] == pytest.approx(second.rates[classes] / 10)
    assert third.rates == dict.fromkeys(body.head, third.rate)
    assert set(late.rates) > set(second.rates)
    norms = {name: each.clone() for name, each in detector.state_dict().items() if "running" in name}
    train(
        detector,
        _Same(detector, cached=True),
        range(2),
        Plan(second.rates, body.new, 2, 2, 0.01, 0),
        lambda *_: None,
    )
    assert all(torch.equal(each, norms[name]) for name, each in detector.state_dict().items() if "running" in name)


def test_random_weights_are_trained_as_a_whole() -> None:
    _, body = small("anchor-free")
    (way,) = ways_to_train(body, "anchor-free", Adapt(), views=4, shots=10, pretrained=False)
    assert set(way.rates) == set(body.parameters)
    assert len(set(way.rates.values())) == 1


def test_the_recipe_limits_the_ways() -> None:
    _, body = small("anchor-free")
    assert all(
        way.frozen for way in ways_to_train(body, "anchor-free", Adapt(strategy="probe"), 4, 10, pretrained=True)
    )
    deep, rival = ways_to_train(body, "anchor-free", Adapt(strategy="finetune"), 4, 10, pretrained=True)
    assert (deep.frozen, rival.frozen) == (False, True)
    one = ways_to_train(body, "anchor-free", Adapt(strategy="probe", learning_rate=0.002), 4, 10, pretrained=True)
    assert [way.rate for way in one] == [0.002]
    usual, twice = (
        ways_to_train(body, "anchor-free", Adapt(epochs=epochs), 4, 10, pretrained=True)[0] for epochs in (30, 60)
    )
    assert twice.looks == 2 * usual.looks


def test_a_second_stage_is_trained_more_slowly() -> None:
    _, body = small("faster-rcnn")
    rates = {
        family: [way.rate for way in ways_to_train(body, family, Adapt(), 4, 10, pretrained=True)]
        for family in ("anchor-free", "faster-rcnn")
    }
    assert max(rates["faster-rcnn"]) <= min(rates["anchor-free"])


def test_more_views_are_cached_of_few_images_and_none_without_memory() -> None:
    _, body = small("anchor-free")
    mirrors, both = ranges_of("natural"), ranges_of("overhead")
    assert views_to_cache(body, mirrors, Adapt(), 10) == 24
    assert views_to_cache(body, mirrors, Adapt(), 40) == 10
    assert views_to_cache(body, both, Adapt(), 1000) == 4
    assert views_to_cache(body, ranges_of("none"), Adapt(), 10) == 1
    assert views_to_cache(body, mirrors, Adapt(views=0), 10) == 0
    assert views_to_cache(replace(body, feature_bytes=1 << 30), mirrors, Adapt(), 10) == 0


def test_the_most_promising_ways_are_afforded_first() -> None:
    _, body = small("anchor-free")
    ways = ways_to_train(body, "anchor-free", Adapt(), 4, 10, pretrained=True)
    folds = (Fold((0, 1, 2, 3, 4), (5, 6, 7, 8, 9)), Fold((5, 6, 7, 8, 9), (0, 1, 2, 3, 4)))
    needed = search_minutes(ways, body, folds, 10, 4)
    assert affordable(ways, body, folds, 10, 4, needed) == ways
    assert affordable(ways, body, folds, 10, 4, search_minutes(ways[:2], body, folds, 10, 4)) == ways[:2]
    assert affordable(ways, body, folds, 10, 4, 0.0) == ()
    slower = replace(ways[1], macs=1000 * ways[1].macs)
    assert slower not in affordable((ways[0], slower, ways[2]), body, folds, 10, 4, needed)
