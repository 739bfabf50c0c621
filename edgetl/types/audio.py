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

    window, hop, dft  lengths in samples; the window is a periodic Hann window in the middle of zeros up to `dft`
    low_hz, high_hz   outer edges of the first and the last band
    spectrum          what the bands add up: power or amplitude
    log               natural logarithm, or decibels (10 log10), of max(sum, floor)
    below_loudest     decibels under the loudest value of the window at which values are cut off; 0 for none
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
    spectrum: Literal["power", "amplitude"]
    log: Literal["ln", "dB"]
    floor: Annotated[float, Ge(1e-12), Le(1e6)]
    below_loudest: Annotated[float, Ge(0), Le(200)] = 0.0
    coefficients: Annotated[int, Ge(0), Le(256)] = 0
    scale: Annotated[float, Ge(-1e6), Le(1e6)] = 1.0
    offset: Annotated[float, Ge(-1e6), Le(1e6)] = 0.0


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
