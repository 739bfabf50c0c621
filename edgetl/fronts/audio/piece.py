"""Parts of long recordings as examples: `noise.wav:12.5:1` is the second that begins at 12.5 s, a place like a path."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from edgetl.fronts.audio.wav import Sound, UnreadableSound

_NUMBER = r"[0-9]{1,7}(?:\.[0-9]{1,3})?"
_PLACE = re.compile(
    rf"(?P<recording>.+\.(?:wav|wave|flac|ogg|oga)):(?P<start>{_NUMBER}):(?P<length>{_NUMBER})",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True)
class Piece:
    """start_ms, length_ms  milliseconds"""

    recording: Path
    start_ms: int
    length_ms: int

    def __str__(self) -> str:
        return f"{self.recording}:{_seconds(self.start_ms)}:{_seconds(self.length_ms)}"

    def of(self, sound: Sound) -> Sound:
        """This part of the whole recording. Raises UnreadableSound if it ends before."""
        start, end = (round(ms * sound.rate_hz / 1000) for ms in (self.start_ms, self.start_ms + self.length_ms))
        if not start < end <= len(sound.samples):
            whole = f"{len(sound.samples) / sound.rate_hz:.3f} s"
            wanted = f"{_seconds(self.start_ms)} to {_seconds(self.start_ms + self.length_ms)} s"
            raise UnreadableSound(str(self), f"expected sound from {wanted}, the recording has {whole}")
        return replace(sound, samples=sound.samples[start:end])


def piece_of(path: Path | str) -> Piece | None:
    """The part of a recording that a place names; None for the path of a file, also of one that is called so."""
    found = _PLACE.fullmatch(str(path))
    if found is None or Path(path).exists():
        return None
    return Piece(Path(found["recording"]), _milliseconds(found["start"]), _milliseconds(found["length"]))


def _milliseconds(text: str) -> int:
    return round(1000 * float(text))


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".")
