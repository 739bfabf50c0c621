"""Builds Faster R-CNN detectors: torchvision's by their names, and with a feature pyramid on any backbone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator

from edgetl.backbones import torchvision_networks
from edgetl.backbones.feature_maps import FeatureMaps
from edgetl.backbones.hub import download
from edgetl.backbones.plan import IMAGENET_MEAN, IMAGENET_STD, unknown_name
from edgetl.backbones.tensor_sets import TensorSet
from edgetl.backbones.weights import TORCHVISION_PREFIX
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.recipe import Detector as Settings
from edgetl.tasks.detection.networks import faster_rcnn_torchvision
from edgetl.tasks.detection.networks.default_boxes import centered
from edgetl.tasks.detection.networks.faster_rcnn import FasterRcnn
from edgetl.tasks.detection.networks.faster_rcnn_network import FeaturePyramid, Features, Pyramid, RegionHead
from edgetl.tasks.detection.networks.faster_rcnn_torchvision import PUBLISHED, RATIOS, Levels
from edgetl.tasks.detection.networks.loading import fill, fresh, sets_of
from edgetl.tasks.detection.networks.on_backbone import build_on_backbone, check_multiple, features_for
from edgetl.tasks.detection.spec import DetectorSpec
from edgetl.types import ImagePreprocessing, ResizePolicy, WeightSource
from edgetl.types.findings import Audit

_STRIDES = (8, 16, 32)  # of the backbone's maps; the pyramid has one more
_PYRAMID = Levels((8, 16, 32, 64), ((24,), (48,), (96,), (192,)), of_regions=3)
_CANDIDATES, _REGIONS = 300, 100
_REGION_WIDTH = 256
_PUBLISHED_SIZE = 640
_WITHOUT_EPSILON = "258fb6c6"  # how the digest of torchvision's COCO weights begins, whose batch norms add nothing
_CLASS_LAYER = "box_head.cls_score"
_MEAN_COLOR = (124, 116, 104)  # what torchvision pads with, zero after mean and std


def build(
    backbone: Backbone,
    settings: Settings,
    source: WeightSource,
    num_classes: int,
    resize: ResizePolicy,
    *,
    keep_classes: bool = False,
) -> tuple[FasterRcnn, DetectorSpec, Audit]:
    """See `networks.build.build`. Images for published networks are fitted as for their weights: in proportion.

    The class layer is new, unless `keep_classes`: then that of a published network is loaded, which must have
    `num_classes` classes.
    """
    name = backbone.name.removeprefix(TORCHVISION_PREFIX)
    if name in PUBLISHED:
        return _build_published(name, backbone, source, num_classes, keep_classes=keep_classes)
    if name.startswith("fasterrcnn"):
        raise unknown_name(name, PUBLISHED, "torchvision", f"one of {', '.join(PUBLISHED)}")
    arguments = {"width": settings.width, "candidates": _CANDIDATES, "regions": _REGIONS}
    return build_on_backbone("faster-rcnn", _on, _STRIDES, arguments, backbone, source, num_classes, resize)


def construct(spec: DetectorSpec) -> FasterRcnn:
    """See `networks.build.construct`."""
    if spec.architecture not in PUBLISHED:
        return _on(features_for(spec, _STRIDES), spec)
    published = PUBLISHED[spec.architecture]
    with fresh():
        features, head = faster_rcnn_torchvision.layers(spec.architecture, spec.num_classes, _epsilon(spec.arguments))
    return _detector(features, head, spec, published)


def _build_published(
    name: str, backbone: Backbone, source: WeightSource, num_classes: int, *, keep_classes: bool
) -> tuple[FasterRcnn, DetectorSpec, Audit]:
    height, width = backbone.height_and_width() or (_PUBLISHED_SIZE, _PUBLISHED_SIZE)
    preprocessing = ImagePreprocessing(height, width, "letterbox-corner", IMAGENET_MEAN, IMAGENET_STD, fill=_MEAN_COLOR)
    arguments: dict[str, object] = {"candidates": _CANDIDATES, "regions": _REGIONS}
    if name == "fasterrcnn_resnet50_fpn" and (source.kind == "hub" or source.digest.startswith(_WITHOUT_EPSILON)):
        arguments["epsilon"] = 0.0
    spec = DetectorSpec("faster-rcnn", "torchvision", name, {}, arguments, num_classes, preprocessing)
    detector = construct(spec)
    if source.kind == "none" or not backbone.pretrained:
        return detector, spec, Audit(0, (), tuple(sorted(detector.state_dict())))
    sets, where = _from_hub(name, source) if source.kind == "hub" else sets_of(source)
    levels = len(PUBLISHED[name].strides)
    own = [faster_rcnn_torchvision.converted(each, levels) for each in sets]
    return detector, spec, fill(detector, own, "" if keep_classes else _CLASS_LAYER, where, backbone.name)


def _from_hub(name: str, source: WeightSource) -> tuple[Sequence[TensorSet], str]:
    with download(f"torchvision `{name}`", source.held):
        return [TensorSet("", torchvision_networks.hub_tensors(name))], f"torchvision `{name}` from the hub"


def _on(maps: FeatureMaps, spec: DetectorSpec) -> FasterRcnn:
    channels = _whole(spec.arguments, "width")
    with fresh():
        fpn = FeaturePyramid(maps.channels, _STRIDES, channels)
        features = Features(maps, Pyramid(fpn, channels, _PYRAMID.anchors))
        head = RegionHead(channels, _REGION_WIDTH, spec.num_classes)
    return _detector(features, head, spec, _PYRAMID)


def _detector(features: Features, head: RegionHead, spec: DetectorSpec, levels: Levels) -> FasterRcnn:
    height, width = check_multiple(spec, _STRIDES[-1], "a Faster R-CNN")
    candidates, regions = _whole(spec.arguments, "candidates"), _whole(spec.arguments, "regions")
    anchors = _anchors(height, width, levels)
    return FasterRcnn(
        features, head, anchors, levels.strides, levels.of_regions, (height, width), candidates, regions
    ).eval()


def _anchors(height: int, width: int, levels: Levels) -> Tensor:
    """(T, 4): center x, center y, width, height in pixels, by torchvision."""
    generator = AnchorGenerator(levels.sizes, (RATIOS,) * len(levels.sizes))
    generator.set_cell_anchors(torch.float32, torch.device("cpu"))
    shapes = [[math.ceil(height / stride), math.ceil(width / stride)] for stride in levels.strides]
    steps = [[torch.tensor(stride)] * 2 for stride in levels.strides]
    return centered(torch.cat(generator.grid_anchors(shapes, steps)))


def _whole(arguments: Mapping[str, object], name: str) -> int:
    value = arguments[name]
    assert isinstance(value, int)
    return value


def _epsilon(arguments: Mapping[str, object]) -> float:
    """Of all batch norms in the backbone."""
    value = arguments.get("epsilon", 1e-5)
    assert isinstance(value, float)
    return value
