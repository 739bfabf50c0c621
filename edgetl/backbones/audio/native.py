"""What a network for sound was made to hear."""

from __future__ import annotations

from dataclasses import dataclass

from edgetl.recipes.fronts import Audio
from edgetl.types import Mel


@dataclass(frozen=True)
class NativeAudio:
    """samples, mel      the window and the spectrum that its weights were trained with
    least_frames, bands  what its layers need"""

    rate_hz: int
    samples: int
    mel: Mel
    least_frames: int = 1
    bands: range = range(8, 257)


@dataclass(frozen=True)
class ClipSource:
    """How clips reach a network: the rate of the files, and what the recipe says."""

    file_rate_hz: int
    audio: Audio
