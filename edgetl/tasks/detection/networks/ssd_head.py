"""The head of an SSD: smaller feature maps, and predictions of offsets and classes on every level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from edgetl.tasks.detection.networks.base import Maps

CLASS_LAYERS = "head.classes"
"""What begins the names of the layers that depend on the classes."""


class SsdHead(nn.Module):
    """Features -> for each level offsets and classes, as `Ssd` has them.

    extras        one after another, from the last features to smaller ones
    boxes         for each level the layer that gives offsets
    classes       for each level the layer that gives class logits
    box_stems, class_stems  the layers before these, if any
    """

    def __init__(
        self,
        extras: Iterable[nn.Module],
        boxes: Sequence[nn.Module],
        classes: Sequence[nn.Module],
        box_stems: Sequence[nn.Module] = (),
        class_stems: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.extras = nn.ModuleList(extras)
        self.box_stems, self.boxes = nn.ModuleList(box_stems or map(_nothing, boxes)), nn.ModuleList(boxes)
        self.class_stems, self.classes = nn.ModuleList(class_stems or map(_nothing, classes)), nn.ModuleList(classes)

    def forward(self, features: Maps) -> Maps:
        levels = list(features)
        for layer in self.extras:
            levels.append(layer(levels[-1]))
        maps: list[Tensor] = []
        for index, level in enumerate(levels):
            maps.append(self.boxes[index](self.box_stems[index](level)))
            maps.append(self.classes[index](self.class_stems[index](level)))
        return tuple(maps)


def _nothing(_: nn.Module) -> nn.Module:
    return nn.Identity()


class SsdNetwork(nn.Module):
    """Images (N, 3, H, W) -> maps."""

    def __init__(self, backbone: nn.Module, head: SsdHead) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: Tensor) -> Maps:
        maps: Maps = self.head(self.backbone(images))
        return maps
