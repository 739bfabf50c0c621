"""A sound file -> the samples that a network hears."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.files.file_kind import FileKind
from edgetl.fronts.audio.decode import decode
from edgetl.fronts.audio.resample import Ratio, design, resample
from edgetl.fronts.audio.wav import Sound, UnreadableSound
from edgetl.fronts.audio.window import centered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgetl.types import AudioPreprocessing


def load_sound(path: Path, preprocessing: AudioPreprocessing) -> NDArray[np.int16]:
    """Decode, resample, cut to the window: int16 (samples,). Raises UnreadableSound."""
    return windowed(at_network_rate(decode(path), str(path), preprocessing), preprocessing)


def at_network_rate(sound: Sound, where: str, preprocessing: AudioPreprocessing) -> NDArray[np.int16]:
    """All samples at the network's rate: int16 (N,). Raises UnreadableSound for a rate other than `file_rate_hz`."""
    if sound.rate_hz != preprocessing.file_rate_hz:
        advice = f"convert it: ffmpeg -i FILE -ar {preprocessing.file_rate_hz} NEW.wav"
        found = f"expected {preprocessing.file_rate_hz} Hz, found {sound.rate_hz} Hz; {advice}"
        raise UnreadableSound(where, found, FileKind("sound", f"a recording at {sound.rate_hz} Hz", advice))
    return at_rate(sound, preprocessing.rate_hz)


def at_rate(sound: Sound, rate_hz: int) -> NDArray[np.int16]:
    """All samples at this rate."""
    if sound.rate_hz == rate_hz:
        return sound.samples
    return resample(sound.samples, Ratio.of(sound.rate_hz, rate_hz), _table(sound.rate_hz, rate_hz))


def windowed(samples: NDArray[np.int16], preprocessing: AudioPreprocessing) -> NDArray[np.int16]:
    """The middle of all samples: int16 (samples,)."""
    return centered(samples, preprocessing.samples)


@lru_cache(maxsize=8)
def _table(from_hz: int, to_hz: int) -> NDArray[np.int16]:
    table = design(from_hz, to_hz)
    table.setflags(write=False)
    return table
