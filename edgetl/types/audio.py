"""How a clip of sound becomes a network's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le

from edgetl.types.data import STRICT

_Samples = Annotated[int, Ge(1), Le(1 << 20)]
_Rate = Annotated[int, Ge(1000), Le(192_000)]


@dataclass(frozen=True)
class Mel:
    """How samples become frames of mel bands, in float32 inside the graph.

    Samples count from -1 to 1. A window of `samples` has (samples - window) // hop + 1 frames.

    window, hop, dft  lengths in samples: of a frame under a periodic Hann window, from frame to frame, and of the
                      Fourier transform, for which the frame is filled with zeros
    low_hz, high_hz   outer edges of the first and the last band
    triangles         how a band rises and falls: `htk` straight over 1127 ln(1 + f / 700), to one (TensorFlow);
                      `slaney` straight over f, with the area one, on edges that are linear up to 1 kHz and logarithmic
                      above (librosa)
    spectrum          what the bands add up: power or amplitude
    log               natural logarithm, or decibels (10 log10)
    floor, floored    of max(sum, floor), or of sum + floor
    below_loudest     how far under the largest logarithm of the window smaller ones are cut off; 0 for not
    coefficients      first coefficients of a cosine transform over the bands (MFCC); 0 for the bands themselves
    scale, offset     of the result: value * scale + offset
    """

    __pydantic_config__: ClassVar = STRICT

    window: _Samples
    hop: _Samples
    dft: _Samples
    bands: Annotated[int, Ge(1), Le(256)]
    low_hz: Annotated[float, Ge(0), Le(96_000)]
    high_hz: Annotated[float, Ge(0), Le(96_000)]
    triangles: Literal["htk", "slaney"]
    spectrum: Literal["power", "amplitude"]
    log: Literal["ln", "dB"]
    floor: Annotated[float, Ge(1e-30), Le(1e6)]
    floored: Literal["max", "add"] = "max"
    below_loudest: Annotated[float, Ge(0), Le(200)] = 0.0
    coefficients: Annotated[int, Ge(0), Le(256)] = 0
    scale: Annotated[float, Ge(-1e6), Le(1e6)] = 1.0
    offset: Annotated[float, Ge(-1e6), Le(1e6)] = 0.0

    def frames(self, samples: int) -> int:
        """How many frames a window of `samples` has."""
        return (samples - self.window) // self.hop + 1


@dataclass(frozen=True)
class AudioPreprocessing:
    """A network hears `samples` int16 values, mono, at `rate_hz`.

    file_rate_hz  of the clips as they are stored; another rate than `rate_hz` is converted by one integer filter
    mel           what the graph makes of the samples
    """

    __pydantic_config__: ClassVar = STRICT

    rate_hz: _Rate
    file_rate_hz: _Rate
    samples: _Samples
    mel: Mel
