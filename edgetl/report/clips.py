"""Clips as the page shows them: a picture of their mel spectrum and a player."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgetl.errors import DataError
from edgetl.fronts.audio.decode import decode
from edgetl.fronts.audio.load import at_rate
from edgetl.fronts.audio.mel import FrontEnd, compute, front_end
from edgetl.fronts.audio.wav import encode_wav
from edgetl.fronts.audio.window import centered
from edgetl.report.pictures import Look
from edgetl.types import Mel

if TYPE_CHECKING:
    from edgetl.fronts.audio.wav import Sound

MOST_BYTES = 6_000_000
"""Of all players of one page, as data URIs. The pictures are a tenth of that."""
_SECONDS = 4  # what is shown of a longer clip: its middle, which is also what a network hears
_RATE = 16_000  # of players, at most
_BANDS, _DECIBELS = 64, 70.0
_FAINTEST = 0.0  # decibels that count as the loudest at least: silence stays dark


class ClipLooks:
    """The looks of the clips of one page, as many with a player as `MOST_BYTES` allows: the first ones."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._left = most_bytes
        self.silent = 0
        """How many have no player because of that."""

    def __call__(self, path: Path) -> Look:
        """Empty if the file can no longer be read."""
        try:
            sound = decode(path)
        except DataError:
            return Look("")
        shown = _middle(sound)
        player = _uri("audio/wav", encode_wav(shown, min(sound.rate_hz, _RATE)))
        seconds = len(sound.samples) / sound.rate_hz
        length = f"{seconds:.1f} s" if seconds <= _SECONDS else f"the middle {_SECONDS} s of {seconds:.1f} s"
        picture = _uri("image/png", mel_picture(shown, min(sound.rate_hz, _RATE)))
        if len(player) > self._left:
            self.silent += 1
            return Look(picture, length=length)
        self._left -= len(player)
        return Look(picture, player, length)


def _middle(sound: Sound) -> NDArray[np.int16]:
    slow = at_rate(sound, _RATE) if sound.rate_hz > _RATE else sound.samples
    return centered(slow, min(len(slow), _SECONDS * min(sound.rate_hz, _RATE)))


def mel_picture(samples: NDArray[np.int16], rate_hz: int) -> bytes:
    """A PNG with a column every 10 ms and a row for each of 64 mel bands, low ones at the bottom. Colors go over 70 dB
    up to the loudest value. It is the same for every network, so it is not what one of them hears."""
    end = _end(rate_hz)
    padded = np.pad(samples, (0, max(0, end.kernels.shape[1] - len(samples))))
    decibels = compute(padded[None], end)[0].T[::-1]
    top = max(float(decibels.max()), _FAINTEST)
    levels = np.clip((decibels - top) / _DECIBELS + 1, 0, 1)
    picture = Image.fromarray(np.round(levels * 255).astype(np.uint8))
    picture.putpalette(_palette().tobytes())
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


@lru_cache(maxsize=4)
def _end(rate_hz: int) -> FrontEnd:
    window = max(1, rate_hz // 40)
    return front_end(
        Mel(
            window=window,
            hop=max(1, rate_hz // 100),
            dft=2048,
            bands=_BANDS,
            low_hz=min(60.0, rate_hz / 50),
            high_hz=min(8000.0, rate_hz / 2),
            triangles="htk",
            spectrum="power",
            log="dB",
            floor=1e-10,
        ),
        rate_hz,
    )


def _palette() -> NDArray[np.uint8]:
    """(256, 3): from near black over violet and orange to a light yellow, in equal steps of lightness in Oklab (B.
    Ottosson, A perceptual color space for image processing, 2020), whose inverse this is."""
    t = np.linspace(0, 1, 256)
    lightness, hue, chroma = 0.13 + 0.83 * t, np.deg2rad(280 + 185 * t), 0.03 + 0.45 * t * (1 - t) ** 0.9
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)])
    roots = np.array(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(to_linear @ (roots @ lab) ** 3, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)  # IEC 61966-2-1
    return np.asarray(np.round(encoded.T * 255), np.uint8)


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64," + base64.b64encode(data).decode("ascii")
