"""Builds SSD detectors: published ones by their names, and SSDLite on the features of any backbone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor

from edgetl.backbones import torchvision_networks
from edgetl.backbones.feature_maps import FeatureMaps
from edgetl.backbones.hub import download
from edgetl.backbones.plan import unknown_name
from edgetl.backbones.tensor_sets import TensorSet
from edgetl.backbones.weights import TORCHVISION_PREFIX
from edgetl.errors import UsageError, WeightsError
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.recipe import Detector as Settings
from edgetl.tasks.detection.networks import ssd_features, ssd_mobilenet, ssd_torchvision
from edgetl.tasks.detection.networks.loading import RARE, fill, fresh, sets_of, start_at
from edgetl.tasks.detection.networks.on_backbone import build_on_backbone, check_multiple, features_for
from edgetl.tasks.detection.networks.ssd import Scoring, Ssd
from edgetl.tasks.detection.networks.ssd_head import CLASS_LAYERS, SsdNetwork
from edgetl.tasks.detection.spec import DetectorSpec
from edgetl.types import ImagePreprocessing, ResizePolicy, WeightSource
from edgetl.types.findings import Audit

_HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class _Published:
    """A network with a name.

    side       of the square input in pixels
    sizes      whether other sizes are possible
    make       number of classes -> network
    defaults   height, width -> default boxes
    converted  published tensors -> ours
    """

    library: Literal["torchvision", "edgetl"]
    side: int
    sizes: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    scoring: Scoring
    make: Callable[[int], SsdNetwork]
    defaults: Callable[[int, int], Tensor]
    converted: Callable[[TensorSet], TensorSet]


def _torchvision(name: str, side: int, mean: tuple[float, float, float], std: tuple[float, float, float]) -> _Published:
    make, defaults = partial(ssd_torchvision.network, name), partial(ssd_torchvision.default_boxes, name)
    return _Published("torchvision", side, False, mean, std, "softmax", make, defaults, ssd_torchvision.converted)


_PUBLISHED: Mapping[str, _Published] = {
    "ssd_mobilenet_v1": _Published(
        "edgetl", 300, True, _HALF, _HALF, "sigmoid",
        ssd_mobilenet.network, ssd_mobilenet.default_boxes, ssd_mobilenet.converted,
    ),
    "ssdlite320_mobilenet_v3_large": _torchvision("ssdlite320_mobilenet_v3_large", 320, _HALF, _HALF),
    "ssd300_vgg16": _torchvision("ssd300_vgg16", 300, (0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)),
}  # fmt: skip


def build(
    backbone: Backbone,
    settings: Settings,
    source: WeightSource,
    num_classes: int,
    resize: ResizePolicy,
    *,
    keep_classes: bool = False,
) -> tuple[Ssd, DetectorSpec, Audit]:
    """See `networks.build.build`. Images for published networks are fitted as for their weights: squash.

    The class layers are new, unless `keep_classes`: then those of a published network are loaded, which must have
    `num_classes` classes.
    """
    name = backbone.name.removeprefix(TORCHVISION_PREFIX)
    if name in _PUBLISHED:
        return _build_published(name, backbone, source, num_classes, keep_classes=keep_classes)
    if name.startswith("ssd"):
        raise unknown_name(name, _PUBLISHED, "SSD", f"one of {', '.join(_PUBLISHED)}")
    arguments = {"width": settings.width}
    return build_on_backbone("ssd", _on, ssd_features.STRIDES, arguments, backbone, source, num_classes, resize)


def construct(spec: DetectorSpec) -> Ssd:
    """See `networks.build.construct`."""
    if spec.architecture not in _PUBLISHED:
        return _on(features_for(spec, ssd_features.STRIDES), spec)
    published, p = _PUBLISHED[spec.architecture], spec.preprocessing
    with fresh():
        detector = Ssd(
            published.make(spec.num_classes), published.defaults(p.height, p.width), spec.num_classes, published.scoring
        )
        if published.scoring == "sigmoid":
            start_at(detector.network.head.classes, RARE)
    return detector.eval()


def _build_published(
    name: str, backbone: Backbone, source: WeightSource, num_classes: int, *, keep_classes: bool
) -> tuple[Ssd, DetectorSpec, Audit]:
    published = _PUBLISHED[name]
    spec = DetectorSpec("ssd", published.library, name, {}, {}, num_classes, _input(backbone, published))
    detector = construct(spec)
    if source.kind == "none" or not backbone.pretrained:
        return detector, spec, Audit(0, (), tuple(sorted(detector.state_dict())))
    sets, where = _from_hub(backbone, published, source) if source.kind == "hub" else sets_of(source)
    converted = [published.converted(each) for each in sets]
    audit = fill(detector.network, converted, "" if keep_classes else CLASS_LAYERS, where, backbone.name)
    return detector, spec, audit


def _input(backbone: Backbone, published: _Published) -> ImagePreprocessing:
    height, width = backbone.height_and_width() or (published.side, published.side)
    if not published.sizes and (height, width) != (published.side, published.side):
        raise UsageError(
            f"backbone.input_size: `{backbone.name}` takes {published.side}x{published.side} pixels only; found "
            f"{height}x{width}; leave `input_size` out"
        )
    return ImagePreprocessing(height, width, "squash", published.mean, published.std)


def _from_hub(backbone: Backbone, published: _Published, source: WeightSource) -> tuple[list[TensorSet], str]:
    if published.library == "edgetl":
        raise WeightsError(
            f"backbone.weights: `{backbone.name}` has no automatic download; expected a file with its weights, or "
            "`pretrained: false`"
        )
    name = backbone.name.removeprefix(TORCHVISION_PREFIX)
    with download(f"torchvision `{name}`", source.held):
        return [TensorSet("", torchvision_networks.hub_tensors(name))], f"torchvision `{name}` from the hub"


def _on(maps: FeatureMaps, spec: DetectorSpec) -> Ssd:
    height, width = check_multiple(spec, ssd_features.STRIDES[-1], "an SSD")
    channels = spec.arguments["width"]
    assert isinstance(channels, int)
    with fresh():
        network = ssd_features.network(maps, maps.channels, spec.num_classes, channels)
        start_at(network.head.classes, RARE)
        return Ssd(network, ssd_features.default_boxes(height, width), spec.num_classes, "sigmoid").eval()
