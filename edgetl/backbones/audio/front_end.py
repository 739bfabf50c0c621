"""The mel front end as a torch module: what training computes before the network, as the exported graph will."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgetl.fronts.audio.mel import front_end
from edgetl.types import AudioPreprocessing


class MelFrontEnd(nn.Module):
    """int16 samples (N, samples), or floats that count as they do -> float32 (N, 1, frames, features).

    The steps are those of `fronts.audio.mel.FrontEnd`. Nothing in it is trained, and its state dict is empty.
    """

    def __init__(self, p: AudioPreprocessing) -> None:
        super().__init__()
        self.end = end = front_end(p.mel, p.rate_hz)
        arrays = {"kernels": end.kernels[:, None], "bands": end.bands, "mix": end.mix}
        for name, array in arrays.items():
            self.register_buffer(name, None if array is None else torch.from_numpy(array), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        end = self.end
        waves = functional.conv1d(samples.float()[:, None], self.get_buffer("kernels"), stride=end.hop)
        real, imaginary = (waves * waves).chunk(2, 1)
        power = real + imaginary
        sums = (power.sqrt() if end.amplitude else power).transpose(1, 2) @ self.get_buffer("bands")
        values = (sums + end.floor if end.added else sums.clamp_min(end.floor)).log()
        if end.below:
            values = torch.maximum(values, values.amax((1, 2), keepdim=True) - end.below)
        mixed = values * end.factor if end.mix is None else values @ self.get_buffer("mix")
        return (mixed + end.offset)[:, None]
