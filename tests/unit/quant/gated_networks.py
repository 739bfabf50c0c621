"""Small networks with smooth activations and gates, drawn pictures, and what tests ask of networks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timm.layers import SEModule
from torch import Tensor, nn

from edgetl.backbones.load import construct
from edgetl.types import ImagePreprocessing, NetworkSpec, Sample

SIZE = 32
P = ImagePreprocessing(SIZE, SIZE, "squash", (0.4, 0.5, 0.6), (0.5, 0.5, 0.5))
EFFICIENT = NetworkSpec("timm", "test_efficientnet", {}, 3, "classifier", P)  # SiLU, two gates
MOBILE = NetworkSpec("timm", "mobilenetv3_small_050", {}, 3, "classifier", P)  # hard-swish, nine gates
TORCHVISION = NetworkSpec("torchvision", "mobilenet_v3_small", {}, 3, "classifier.3", P)
ALL = (EFFICIENT, MOBILE, TORCHVISION)


class Gated(nn.Module):
    """conv, norm, SiLU - depthwise conv, norm - a gate with `behind` after it - pool, linear."""

    def __init__(self, behind: Callable[[], nn.Module], *, act_before: bool) -> None:
        super().__init__()
        self.stem, self.norm, self.act = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.SiLU()
        self.depthwise, self.norm2 = nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False), nn.BatchNorm2d(8)
        self.act2 = nn.ReLU() if act_before else nn.Identity()
        self.gate, self.behind = SEModule(8, rd_channels=4), behind()
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.stem(x)))
        x = self.gate(self.act2(self.norm2(self.depthwise(x))))
        y: Tensor = self.head(self.behind(x).mean((2, 3)))
        return y


class Branches(nn.Module):
    """Reads what it gets twice: by a convolution and by an addition."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x) + x
        return y


def settled(spec: NetworkSpec, seed: int = 0) -> nn.Module:
    return settle(construct(spec), seed)


@torch.no_grad()
def settle(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network with random norms that fit its activations, gates that differ between images and logits of the size
    of 1; in eval mode."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.3)
            module.momentum = None
    network.train()(images(64, seed + 1))
    logits = network.eval()(images(64, seed + 1))
    head = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    head.weight.div_(logits.std())
    head.bias.div_(logits.std())
    return network.requires_grad_(False)


def images(count: int, seed: int = 0) -> Tensor:
    """float32 (count, 3, 32, 32): smooth blobs of random color and contrast."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 4, 4, generator=generator) * (
        0.6 + 0.6 * torch.rand(count, 1, 1, 1, generator=generator)
    )
    return nn.functional.interpolate(coarse, SIZE, mode="bilinear")


def pictures(folder: Path, count: int) -> tuple[Sample, ...]:
    """Drawn PNG files of three classes in turn: each class has a color."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 160, (SIZE, SIZE, 3))
        pixels[:, :, number % 3] += 90
        path = folder / f"{number:03d}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        samples.append(Sample(str(path), number % 3, hashlib.sha256(path.read_bytes()).hexdigest()))
    return tuple(samples)
