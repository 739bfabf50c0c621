"""What every detector is: modules that are quantized, and float arithmetic around them that never is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

Maps = tuple[Tensor, ...]
"""What a network computes before its outputs are decoded, one or several tensors (N, ...) for each level."""


@dataclass(frozen=True)
class Targets:
    """The objects of one image in pixels of the network's input.

    boxes   float32 (K, 4), corners x0 y0 x1 y1; labels  int64 (K,)
    ignore  bool (K,): predictions there are neither right nor wrong
    """

    boxes: Tensor
    labels: Tensor
    ignore: Tensor


class Detector(nn.Module, ABC):
    """Normalized images float32 (N, 3, H, W) -> boxes float32 (N, A, 4) in input pixels, scores float32 (N, A, C).

    parts  names of the child modules that are captured and quantized, in the order they run; the rest stays float.
           Each takes and gives tensors or tuples of tensors. `forward` calls them as attributes, so that they can be
           replaced by their quantized twins. The first one has the children `backbone`, images -> features, and
           `head`, features -> maps, and is their composition; so a frozen backbone's features can be computed once.
    """

    parts: ClassVar[tuple[str, ...]] = ("network",)

    @abstractmethod
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]: ...

    @property
    def backbone(self) -> nn.Module:
        return self.get_submodule(f"{self.parts[0]}.backbone")

    @property
    def head(self) -> nn.Module:
        return self.get_submodule(f"{self.parts[0]}.head")

    def training_loss(self, images: Tensor, targets: Sequence[Targets]) -> Tensor:
        """The mean loss of a batch, a scalar."""
        return self.loss(self.head(self.backbone(images)), targets)

    @abstractmethod
    def loss(self, maps: Maps, targets: Sequence[Targets]) -> Tensor:
        """The mean loss of a batch, a scalar, from what the first part gives."""


class OneStage(Detector):
    """A detector whose one part gives maps, which are decoded in float."""

    network: nn.Module

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.decode(self.network(images))

    @abstractmethod
    def decode(self, maps: Maps) -> tuple[Tensor, Tensor]:
        """Boxes (N, A, 4) and scores (N, A, C); exported with the network, in operators that every runtime has."""
