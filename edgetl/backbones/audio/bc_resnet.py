"""BC-ResNet: residual blocks that look along time on the mean over bands, and add the result to every band.

Kim, Chang, Lee and Sung, "Broadcasted Residual Learning for Efficient Keyword Spotting", Interspeech 2021. For INT8,
two parts differ from the paper: plain batch norms, which fold into the convolutions, in place of those by sub-band, and
ReLU in place of swish. There are no pretrained weights for it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from edgetl.backbones.audio import speech_embedding
from edgetl.backbones.audio.native import NativeAudio

# the spectrum that suits words, with bands up to the end of the range
NATIVE = NativeAudio(16000, 16000, replace(speech_embedding.NATIVE.mel, bands=40, high_hz=7600.0))
NAMES = {"bc_resnet_1": 1, "bc_resnet_2": 2, "bc_resnet_3": 3}
UNUSED: tuple[str, ...] = ()

_STEM, _LAST = 16, 32  # channels, times the factor
# channels, blocks, stride over bands, dilation over frames
_STAGES = ((8, 2, 1, 1), (12, 2, 2, 2), (16, 4, 2, 4), (20, 4, 1, 8))
_DROPOUT = 0.1


class Block(nn.Module):
    """y = relu(x + f + g(mean over bands of f)), f along the bands and g along time; without x if the channels change.

    x (N, C, frames, bands).
    """

    def __init__(self, entering: int, channels: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.same = entering == channels and stride == 1
        change = [nn.Conv2d(entering, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
        along_bands = nn.Conv2d(channels, channels, (1, 3), (1, stride), (0, 1), groups=channels, bias=False)
        self.bands = nn.Sequential(*([] if self.same else change), along_bands, nn.BatchNorm2d(channels))
        along_time = nn.Conv2d(
            channels, channels, (3, 1), padding=(dilation, 0), dilation=(dilation, 1), groups=channels, bias=False
        )
        self.time = nn.Sequential(
            along_time,
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.Dropout2d(_DROPOUT),
        )

    def forward(self, x: Tensor) -> Tensor:
        seen = self.bands(x)
        result = seen + self.time(seen.mean(3, keepdim=True))
        return functional.relu(x + result if self.same else result)


class BCResNet(nn.Module):
    """Mel frames (N, 1, frames, bands) -> logits (N, num_classes). factor  multiplies all widths"""

    def __init__(self, num_classes: int, factor: int) -> None:
        super().__init__()
        stem = _STEM * factor
        self.stem = nn.Sequential(
            nn.BatchNorm2d(1),  # nothing else brings logarithms of any size to one scale
            nn.Conv2d(1, stem, 5, (1, 2), 2, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(),
        )
        widths = [stem, *(channels * factor for channels, *_ in _STAGES)]
        self.blocks = nn.Sequential(
            *(
                Block(entering if number == 0 else channels, channels, stride if number == 0 else 1, dilation)
                for (entering, channels), (_, count, stride, dilation) in zip(pairwise(widths), _STAGES, strict=True)
                for number in range(count)
            )
        )
        self.last = nn.Sequential(
            nn.Conv2d(widths[-1], widths[-1], 5, padding=2, groups=widths[-1], bias=False),
            nn.Conv2d(widths[-1], _LAST * factor, 1, bias=False),
            nn.BatchNorm2d(_LAST * factor),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(_LAST * factor, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.last(self.blocks(self.stem(x))).mean((2, 3)))
        return logits


def construct(name: str, num_classes: int, frames: int, bands: int) -> nn.Module:
    return BCResNet(num_classes, NAMES[name])
