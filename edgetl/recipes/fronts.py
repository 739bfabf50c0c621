"""The sections of a recipe that belong to one front."""

from __future__ import annotations

from typing import Annotated, Literal

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


class Series(Section):
    """The windows of sensor channels that the network sees, for `front: series`."""

    steps: Literal["auto"] | Annotated[int, Field(ge=4, le=65_536)] = "auto"
    """Time steps that the network sees at once. A longer window is cut to its beginning, a shorter one stays at its
    last time step. auto: the longest of the shots, at most 4096."""


class Text(Section):
    """The tokens that the network reads, for `front: text`. The tokenizer is the pretrained network's own."""

    max_tokens: Annotated[int, Field(ge=4, le=8192)] | Literal["auto"] = "auto"
    """Tokens that the network reads at most, with those that the tokenizer adds; a longer text is cut to its beginning.
    auto: as many as the longest training text has, but at least 64, and at most 512 or the network's own limit."""
    pooling: Literal["auto", "mean", "first", "last"] = "auto"
    """How the vectors of the tokens become one: their mean, that of the first token or of the last. auto: what the
    network was trained with, else the mean, for a network that reads from left to right the last."""
