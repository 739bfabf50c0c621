"""DS-CNN: depthwise separable convolutions over cepstral coefficients.

Zhang, Suda, Lai and Chandra, "Hello Edge: Keyword Spotting on Microcontrollers", 2017. Parts have the names of the
published weights, which come from TensorFlow: padding at the end is larger than at the beginning.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgetl.backbones.audio.native import NativeAudio
from edgetl.types import Mel

CEPSTRUM = Mel(
    window=640,
    hop=320,
    dft=1024,
    bands=40,
    low_hz=20.0,
    high_hz=4000.0,
    triangles="htk",
    spectrum="amplitude",
    log="ln",
    floor=1e-12,
    coefficients=10,
)
NATIVE = NativeAudio(16000, 16000, CEPSTRUM, least_frames=4, bands=range(4, 257))
NAMES = ("kws_ds_cnn_l",)
UNUSED: tuple[str, ...] = ()

_WIDTH, _BLOCKS = 276, 5


class DSCNN(nn.Module):
    """Coefficients (N, 1, frames, 10) -> logits (N, num_classes)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ZeroPad2d((1, 2, 4, 5)), _unit(nn.Conv2d(1, _WIDTH, (10, 4), (2, 1), bias=False))]
        for number in range(_BLOCKS):
            halves = number == 0
            depthwise = nn.Conv2d(_WIDTH, _WIDTH, 3, 2 if halves else 1, groups=_WIDTH, bias=False)
            pointwise = nn.Conv2d(_WIDTH, _WIDTH, 1, bias=False)
            layers += [nn.ZeroPad2d((0 if halves else 1, 1, 1, 1)), _unit(depthwise), _unit(pointwise)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(_WIDTH, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x).mean((2, 3)))
        return logits


def construct(name: str, num_classes: int, frames: int, bands: int) -> nn.Module:
    return DSCNN(num_classes)


def _unit(convolution: nn.Conv2d) -> nn.Module:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels, eps=1e-3), nn.ReLU())
