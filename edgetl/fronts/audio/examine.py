"""What is known of a sound file that was decoded once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetl.fronts.audio.decode import decode
from edgetl.types import Trait


@dataclass(frozen=True)
class ClipFacts:
    """A readable sound: its rate and length as stored, and the information that decoding loses."""

    rate_hz: int
    samples: int
    traits: tuple[Trait, ...] = ()


def examine(path: Path) -> ClipFacts:
    """Decode a sound once. Raises UnreadableSound."""
    sound, where = decode(path), str(path)
    traits = []
    if sound.channels > 1:
        traits.append(Trait(where, "channels", high=sound.channels))
    if sound.bits != 16:
        traits.append(Trait(where, "converted", detail=f"{sound.bits}-bit {'floats' if sound.floats else 'integers'}"))
    return ClipFacts(sound.rate_hz, len(sound.samples), tuple(traits))
