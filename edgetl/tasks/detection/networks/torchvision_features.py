"""torchvision's feature extractors as part of a detector."""

from __future__ import annotations

from torch import Tensor, nn

from edgetl.tasks.detection.networks.base import Maps


class TorchvisionFeatures(nn.Module):
    """Images (N, 3, H, W) -> the maps of `body`, which returns them by name."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, images: Tensor) -> Maps:
        maps: dict[str, Tensor] = self.body(images)
        return tuple(maps.values())
