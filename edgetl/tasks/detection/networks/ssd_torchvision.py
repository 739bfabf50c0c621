"""torchvision's SSD networks: its layers, its default boxes, and its names of tensors."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList

from edgetl.backbones.tensor_sets import TensorSet
from edgetl.tasks.detection.networks.default_boxes import centered
from edgetl.tasks.detection.networks.ssd_head import SsdHead, SsdNetwork
from edgetl.tasks.detection.networks.torchvision_features import TorchvisionFeatures

_HEADS = {"classification_head": "class", "regression_head": "box"}
_LAYERS = {"class": "classes", "box": "boxes"}


def network(architecture: str, num_classes: int) -> SsdNetwork:
    """`ssd300_vgg16` or `ssdlite320_mobilenet_v3_large`. The backbone includes the smaller feature maps, and the first
    class column is the background."""
    model = _model(architecture, num_classes)
    stems: dict[str, list[nn.Module]] = {"box": [], "class": []}
    last: dict[str, list[nn.Module]] = {"box": [], "class": []}
    for name, kind in _HEADS.items():
        for layer in getattr(model.head, name).module_list:
            parts = list(layer) if isinstance(layer, nn.Sequential) else [layer]
            stems[kind] += parts[:-1]
            last[kind] += parts[-1:]
    return SsdNetwork(
        TorchvisionFeatures(model.backbone), SsdHead((), last["box"], last["class"], stems["box"], stems["class"])
    )


def default_boxes(architecture: str, height: int, width: int) -> Tensor:
    """(A, 4): center x, center y, width, height in pixels."""
    with torch.device("meta"):  # shapes without arithmetic
        model = _model(architecture, 1).eval()
        features = model.backbone(torch.empty(1, 3, height, width)).values()
    given = model.anchor_generator
    generator = DefaultBoxGenerator(given.aspect_ratios, scales=given.scales, steps=given.steps, clip=given.clip)
    images = ImageList(torch.empty(1, 3, height, width), [(height, width)])
    corners = generator(images, [torch.empty(1, 1, *each.shape[2:]) for each in features])[0]
    return centered(corners)


def converted(found: TensorSet) -> TensorSet:
    """The tensors under our names."""
    return replace(found, tensors={_own_name(name): tensor for name, tensor in found.tensors.items()})


def _own_name(name: str) -> str:
    name = re.sub(r"^((?:\w+\.)*?)backbone\.(features|extra|scale_weight)", r"\1backbone.body.\2", name)
    return re.sub(r"head\.(\w+_head)\.module_list\.(\d+)(?:\.([01]))?\.(?=[\w.]+$)", _head_layer, name)


def _head_layer(found: re.Match[str]) -> str:
    head, level, part = found.groups()
    kind = _HEADS.get(head, head)
    return f"head.{kind}_stems.{level}." if part == "0" else f"head.{_LAYERS.get(kind, kind)}.{level}."


def _model(architecture: str, num_classes: int) -> Any:
    return getattr(detection, architecture)(weights=None, weights_backbone=None, num_classes=num_classes + 1)
