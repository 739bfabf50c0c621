"""Ways of training a detector on few shots: which layers, at what rate, from which views, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from edgetl.adapt.detection.views import Ranges, flips
from edgetl.backbones.cut import count_macs
from edgetl.backbones.feature_maps import FeatureMaps
from edgetl.backbones.freeze import blocks, is_under, matches
from edgetl.errors import UsageError
from edgetl.fronts.pixels import MOST_BYTES
from edgetl.recipes.recipe import Adapt
from edgetl.tasks.detection.networks.base import Detector
from edgetl.tasks.detection.spec import Family
from edgetl.types import ImagePreprocessing

_RATES: Mapping[Family, tuple[float, float]] = {"faster-rcnn": (1e-3, 4e-3)}
_USUAL_RATES = (4e-3, 1e-2)  # of new layers, the safer one first; in a few hundred steps 1e-3 ends 11 AP lower
_PRETRAINED = 0.1  # share of that rate for pretrained layers
_FROZEN_STRIDE = 8  # the stages up to it learn edges and textures, which few images would only spoil
_USUAL_EPOCHS = 30  # with it the limits below hold; the recipe's `adapt.epochs` scales them
_FEWEST_LOOKS, _MOST_LOOKS, _MOST_PASSES = 960, 1920, 6
_FRESH_PASSES = 2  # with many images, where each step runs the whole network
_USUAL_VIEWS = 8  # likewise for the views that are cached, and `adapt.views`
_CACHED_LOOKS, _MOST_CACHED_VIEWS = 400, 24


@dataclass(frozen=True)
class Anatomy:
    """A detector as its training sees it. Names are those of its parameters.

    new             layers without pretrained values;  backbone  the prefix of its names
    late            of the backbone, what is trained where the backbone is not frozen
    backbone_macs, head_macs  multiply-accumulates of one image;  feature_bytes  of one view's features
    """

    parameters: tuple[str, ...]
    new: frozenset[str]
    backbone: str
    late: frozenset[str]
    backbone_macs: int
    head_macs: int
    feature_bytes: int

    @property
    def head(self) -> tuple[str, ...]:
        """Everything outside of the backbone."""
        return tuple(name for name in self.parameters if not name.startswith(self.backbone))

    @property
    def new_head(self) -> bool:
        """Whether the weights are those of a classifier: nothing after the backbone has pretrained values."""
        return self.new.issuperset(self.head)


@dataclass(frozen=True)
class Way:
    """One way of training.

    rates  peak learning rate of each parameter that is trained;  rate  of new layers
    cached  whether the features of `views` views of each image are computed once; otherwise every step sees new views
    looks  how many views of images a training sees;  macs  of one training, without cached features
    frozen  whether the backbone keeps its pretrained values
    """

    name: str
    setting: str
    rates: Mapping[str, float]
    rate: float
    cached: bool
    looks: int
    macs: int
    frozen: bool


@torch.inference_mode()
def anatomy(detector: Detector, new: tuple[str, ...], p: ImagePreprocessing, config: Adapt) -> Anatomy:
    """Raises UsageError for `adapt.freeze`, as `late_layers` does."""
    prefix, backbone = f"{detector.parts[0]}.backbone.", detector.backbone
    image = torch.zeros(1, 3, p.height, p.width, device=next(detector.parameters()).device)
    macs = count_macs(backbone, image)
    return Anatomy(
        parameters=tuple(name for name, _ in detector.named_parameters()),
        new=frozenset(new),
        backbone=prefix,
        late=frozenset(f"{prefix}{name}" for name in late_layers(backbone, config)),
        backbone_macs=macs,
        head_macs=count_macs(detector, image) - macs,
        feature_bytes=sum(each.numel() * each.element_size() for each in backbone(image)),
    )


def late_layers(backbone: nn.Module, config: Adapt) -> set[str]:
    """The parameters of a backbone that are trained if it is not frozen: by default those after stride 8.

    Raises UsageError for a pattern in `adapt.freeze` that names no parameter.
    """
    names = {name for name, _ in backbone.named_parameters()}
    if config.freeze != "auto":
        # patterns are those of the classification network, which a backbone of feature maps has inside
        patterns = config.freeze
        inner = {name: name.removeprefix("body.") for name in names}
        unused = [each for each in patterns if not any(matches(plain, [each]) for plain in inner.values())]
        if unused:
            some = ", ".join(sorted({plain.partition(".")[0] for plain in inner.values()})[:8])
            raise UsageError(f"adapt.freeze: no parameter under `{unused[0]}`; the backbone's parts are {some}")
        return {name for name, plain in inner.items() if not matches(plain, patterns)}
    if isinstance(backbone, FeatureMaps) and _FROZEN_STRIDE in backbone.strides:
        return names - set(backbone.layers_until(_FROZEN_STRIDE))
    parts = blocks(backbone, "")
    return {name for name in names if is_under(name, parts[len(parts) // 2 :])}


def views_to_cache(body: Anatomy, ranges: Ranges, config: Adapt, shots: int) -> int:
    """How many views of each shot have their features cached: the flips, and more if there are few shots; no more than
    fit into memory. 0 if not even one view of each does, or none is wanted."""
    if ranges == Ranges():
        wanted = min(1, config.views)
    else:
        random = min(_MOST_CACHED_VIEWS, _CACHED_LOOKS // shots) * config.views // _USUAL_VIEWS
        wanted = max(len(flips(ranges, 1, 1)), random) if config.views else 0
    return min(wanted, MOST_BYTES // (shots * body.feature_bytes))


def ways_to_train(
    body: Anatomy, family: Family, config: Adapt, views: int, shots: int, *, pretrained: bool
) -> tuple[Way, ...]:
    """The ways that the recipe allows, in their order of promise; the first one is the safest. With
    `strategy: finetune` the second one is only for comparison.

    views  of each shot whose features are cached
    """
    looks, fresh = _looks(config, shots, _MOST_LOOKS, _MOST_PASSES), _looks(config, shots, _FEWEST_LOOKS, _FRESH_PASSES)
    usual = _RATES.get(family, _USUAL_RATES)
    rates = usual if config.learning_rate == "auto" else (config.learning_rate,)
    if not pretrained:
        return (_way("everything", body, body.parameters, frozenset(body.parameters), rates[0], 0, fresh),)
    late = _way("last stages", body, (*body.head, *sorted(body.late)), body.new, rates[0], 0, fresh)
    new = tuple(name for name in body.head if name in body.new)
    looks = looks if views else fresh
    frozen = [_way("head", body, body.head, body.new, rate, views, looks) for rate in rates]
    if not body.new_head:  # a whole detector: its boxes are pretrained too
        only_new = _way("new layers", body, new, body.new, rates[-1], views, looks)
        alike = _way("whole head", body, body.head, frozenset(body.head), rates[0], views, looks)
        frozen = [only_new, frozen[0], alike]
    if config.strategy == "finetune":
        return late, frozen[0]
    return (frozen[0], *([late] if config.strategy == "auto" and body.late else []), *frozen[1:])


def _way(
    what: str,
    body: Anatomy,
    trained: tuple[str, ...],
    new: frozenset[str],
    rate: float,
    views: int,
    looks: int,
) -> Way:
    rates = {name: rate if name in new else rate * _PRETRAINED for name in trained}
    deep = any(name.startswith(body.backbone) for name in trained)
    cached = views > 0 and not deep
    each = 3 * body.head_macs + (0 if cached else (3 if deep else 1) * body.backbone_macs)
    shown = f"{views} cached views of each image" if cached else "new views in every step"
    kept = f" (pretrained ones at {rate * _PRETRAINED:g})" if min(rates.values()) < rate else ""
    return Way(
        name=f"{what}, rate {rate:g}",
        setting=f"trains {_DESCRIBED[what]} at rate {rate:g}{kept}; {shown}",
        rates=rates,
        rate=rate,
        cached=cached,
        looks=looks,
        macs=each * looks,
        frozen=not deep,
    )


_DESCRIBED = {
    "new layers": "only the new layers",
    "head": "all layers after the backbone",
    "whole head": "all layers after the backbone",
    "last stages": "the backbone's last stages and all layers after it",
    "everything": "all layers",
}


def _looks(config: Adapt, shots: int, most: int, passes: int) -> int:
    """Views that a training sees: `_USUAL_EPOCHS` of each shot, no more than `most` or so many `passes`."""
    usual = min(max(_USUAL_EPOCHS * shots, _FEWEST_LOOKS), max(most, passes * shots))
    return max(config.batch_size, round(usual * config.epochs / _USUAL_EPOCHS))
