"""The front of sounds."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import numpy as np

from edgetl.fronts.audio.decode import SUFFIXES, decode
from edgetl.fronts.audio.examine import ClipFacts, examine
from edgetl.types import FrontName


class AudioFront:
    name: FrontName = "audio"
    noun = "clip"
    a_noun = "a clip"
    suffixes = SUFFIXES
    foreign = (".mp3", ".m4a", ".aac", ".wma", ".opus", ".aif", ".aiff", ".aifc", ".au", ".caf", ".amr", ".webm")
    plain = "WAV"
    tables: tuple[str, ...] = ()

    def examine(self, path: Path) -> ClipFacts:
        return examine(path)

    def content(self, path: Path) -> bytes:
        return decode(path).samples.tobytes()

    def versions(self) -> Mapping[str, str]:
        return {"numpy": np.__version__, "soundfile": _soundfile()}


def _soundfile() -> str:
    """Its release; its wheels carry the library that decodes."""
    try:
        return metadata.version("soundfile")
    except metadata.PackageNotFoundError:
        return "absent"
