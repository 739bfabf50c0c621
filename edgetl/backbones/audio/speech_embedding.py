"""Google's speech embedding: 96 values for each window of 76 frames, trained on thousands of keywords.

Lin, Kilgour, Roblek and Sharifi, "Training Keyword Spotters with Limited and Synthesized Speech Data", 2020. Parts have
the names of the published weights. Copies that openWakeWord converted lost the ReLU of the first layer and its own mel
spectrum; docs/decisions/0025-audio-front.md measures what that costs.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from edgetl.backbones.audio.native import NativeAudio
from edgetl.types import Mel

NATIVE = NativeAudio(
    rate_hz=16000,
    samples=16000,
    mel=Mel(
        window=400,
        hop=160,
        dft=512,
        bands=32,
        low_hz=60.0,
        high_hz=3800.0,
        triangles="htk",
        spectrum="amplitude",
        log="ln",
        floor=0.001,
        floored="add",
    ),
    least_frames=76,
    bands=range(32, 64),
)
NAMES = ("speech_embedding",)
UNUSED = ("window", "bands")
"""Tensors of another front end that published copies carry."""

_STEP = 8  # frames from one window to the next: three poolings halve the time
_FEATURES = 96
# channels, and what the pooling after the stage divides frames and bands by
_STAGES = ((48, (1, 2)), (72, (2, 2)), (96, (1, 2)), (96, (2, 2)))


class BoundedLeaky(nn.Module):
    """max(x, 0.2 x), and at least -0.4."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(x, 0.2).clamp(min=-0.4)


class RectifiedConv2d(nn.Conv2d):
    """relu(convolution) + bias: the bias is that of the folded batch norm, which comes after the ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        rectified = functional.relu(functional.conv2d(x, self.weight, padding=self.padding))
        assert self.bias is not None
        return rectified + self.bias[:, None, None]


class SpeechEmbedding(nn.Module):
    """Mel frames (N, 1, frames, 32) -> logits (N, num_classes), from all windows of 76 frames side by side."""

    def __init__(self, num_classes: int, frames: int, bands: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Sequential(RectifiedConv2d(1, 24, 3, padding=(0, 1)), BoundedLeaky()),
            _over_bands(24, 24),
            _over_frames(24),
            nn.MaxPool2d(2),
        ]
        entering = 24
        for channels, pool in _STAGES:
            layers += [_over_bands(entering, channels), _over_frames(channels)]
            layers += [_over_bands(channels, channels), _over_frames(channels)]
            layers.append(nn.MaxPool2d(pool))
            entering = channels
        self.body = nn.Sequential(*layers)
        self.out = nn.Conv2d(entering, _FEATURES, (3, 1), bias=False)
        windows = (frames - NATIVE.least_frames) // _STEP + 1
        for part in self.modules():
            if isinstance(part, nn.Conv2d):  # without norms, torch's usual weights let the signal fade out
                nn.init.kaiming_normal_(part.weight, 0.2)
        self.classifier = nn.Linear(_FEATURES * windows * (bands // 32), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.out(self.body(x)).flatten(1))
        return logits


def construct(name: str, num_classes: int, frames: int, bands: int) -> nn.Module:
    return SpeechEmbedding(num_classes, frames, bands)


def _over_bands(entering: int, channels: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(entering, channels, (1, 3), padding=(0, 1)), BoundedLeaky())


def _over_frames(channels: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, channels, (3, 1)), BoundedLeaky())
