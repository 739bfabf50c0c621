"""The section of a recipe for `front: audio`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgetl.recipes.section import Section


class Audio(Section):
    """The sound that the network hears, for `front: audio`. A pretrained network brings its own mel spectrum; the keys
    from `bands` on are for `backbone.pretrained: false`."""

    window_s: Annotated[float, Field(ge=0.1, le=30)] | None = None
    """Seconds of sound that the network hears at once. A longer clip is cut to its middle, a shorter one lies in the
    middle of silence. Omitted: the network's own, else 1."""
    rate_hz: Annotated[int, Field(ge=4000, le=48_000)] | None = None
    """Samples per second at the network's input. Clips of another rate are converted, here and on the device. Omitted:
    the pretrained network's, else 16000."""
    bands: int = Field(default=40, ge=8, le=128)
    """Mel bands of a frame."""
    frame_ms: float = Field(default=25.0, ge=5, le=200)
    """Length of a frame."""
    hop_ms: float = Field(default=10.0, ge=2, le=100)
    """From the beginning of one frame to that of the next."""
    low_hz: float = Field(default=60.0, ge=0, le=20_000)
    """Lower edge of the first band."""
    high_hz: Annotated[float, Field(gt=0, le=24_000)] | None = None
    """Upper edge of the last band. Omitted: 0.475 times the rate, 7600 Hz at 16 kHz."""
    coefficients: int = Field(default=0, ge=0, le=128)
    """First coefficients of a cosine transform over the bands (MFCC). 0: the bands themselves."""
