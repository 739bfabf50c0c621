"""How an example of each front becomes the network's input."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

from edgetl.types.data import FrontName, ResizePolicy
from edgetl.types.ports import STRICT, Port

_Pixels = Annotated[int, Ge(1), Le(8192)]
_Byte = Annotated[int, Ge(0), Le(255)]
_Mean = Annotated[float, Ge(-1e6), Le(1e6)]
_Deviation = Annotated[float, Ge(1e-9), Le(1e6)]
_Samples = Annotated[int, Ge(1), Le(1 << 20)]
_Length = Annotated[int, Ge(1), Le(1 << 16)]
_Rate = Annotated[int, Ge(1000), Le(192_000)]


@dataclass(frozen=True)
class ImagePreprocessing:
    """How a decoded RGB image becomes the network's input.

    Resize and crop to (height, width) uint8 happen outside the graph, `(x / 255 - mean) / std` inside it.
    `crop_pct` is used by `crop` only: the shorter side is resized to round(size / crop_pct), then center cropped.
    `fill` is the RGB padding color of `letterbox` and `letterbox-corner`, which puts the image at the top left.
    The bounds hold for what is read from a file: a manifest, a pivot; the C++ runtime has the same.
    """

    __pydantic_config__: ClassVar = STRICT

    height: _Pixels
    width: _Pixels
    resize: ResizePolicy
    mean: tuple[_Mean, _Mean, _Mean]
    std: tuple[_Deviation, _Deviation, _Deviation]
    crop_pct: Annotated[float, Ge(0.05), Le(1)] = 0.875
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    fill: tuple[_Byte, _Byte, _Byte] = (128, 128, 128)

    @property
    def front(self) -> FrontName:
        return "image"

    @property
    def port(self) -> Port:
        """The input of the deployed network."""
        return Port("image", "uint8", (None, self.height, self.width, 3))

    @property
    def network_shape(self) -> tuple[int, ...]:
        """Of one normalized example, as the trained network takes it."""
        return (3, self.height, self.width)


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

    @property
    def front(self) -> FrontName:
        return "audio"

    @property
    def port(self) -> Port:
        """The input of the deployed network."""
        return Port("audio", "int16", (None, self.samples))

    @property
    def network_shape(self) -> tuple[int, ...]:
        """Of one example's frames, as the trained network takes them."""
        return (1, self.mel.frames(self.samples), self.mel.coefficients or self.mel.bands)


TOKENIZER = "tokenizer.json"
"""The description of a text's tokenizer, in the same folder as the document that names its digest."""


@dataclass(frozen=True)
class TextPreprocessing:
    """A network reads the tokens of a text, int32, filled up with `pad`, which the graph itself leaves out.

    tokenizer  sha256 of TOKENIZER, hex
    lengths    in tokens, ascending: a text is filled up to the first that holds it, and cut to the last
    folder     where TOKENIZER lies; no part of the value, and in no document
    """

    __pydantic_config__: ClassVar = STRICT

    tokenizer: Annotated[str, MinLen(64), MaxLen(64)]
    pad: Annotated[int, Ge(0), Le(10_000_000)]
    lengths: Annotated[tuple[_Length, ...], MinLen(1), MaxLen(16)]
    folder: str = field(default="", compare=False)

    @property
    def front(self) -> FrontName:
        return "text"

    @property
    def port(self) -> Port:
        """The input of the deployed network."""
        return Port("tokens", "int32", (None, None))

    @property
    def network_shape(self) -> tuple[int, ...]:
        """Of one example's tokens, int64, at their longest."""
        return (self.lengths[-1],)


@dataclass(frozen=True)
class SeriesPreprocessing:
    """A network sees `steps` time steps of `len(mean)` channels, float32; `(x - mean) / std` happens inside the graph.

    A longer window is cut to its beginning, a shorter one is continued with its last time step.
    """

    __pydantic_config__: ClassVar = STRICT

    steps: Annotated[int, Ge(1), Le(1 << 20)]
    mean: Annotated[tuple[_Mean, ...], MinLen(1), MaxLen(4096)]
    std: Annotated[tuple[_Deviation, ...], MinLen(1), MaxLen(4096)]

    @property
    def front(self) -> FrontName:
        return "series"

    @property
    def port(self) -> Port:
        """The input of the deployed network."""
        return Port("series", "float32", (None, self.steps, len(self.mean)))

    @property
    def network_shape(self) -> tuple[int, ...]:
        """Of one example, normalized, as the trained network takes it."""
        return (len(self.mean), self.steps)


Preprocessing = ImagePreprocessing | AudioPreprocessing | TextPreprocessing | SeriesPreprocessing
"""How an example of any front becomes the network's input."""


def described(p: Preprocessing) -> dict[str, Any]:
    """Its values for a document or a key: without places of this machine."""
    values = asdict(p)
    values.pop("folder", None)
    return values


def located(p: Preprocessing, folder: Path) -> Preprocessing:
    """The same, whose tokenizer lies in `folder`."""
    return replace(p, folder=str(folder)) if isinstance(p, TextPreprocessing) else p


def as_image(p: Preprocessing) -> ImagePreprocessing:
    """That of an image, for what is about images only."""
    assert isinstance(p, ImagePreprocessing)
    return p
