"""The front of images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgetl.fronts.image.decode import SUFFIXES
from edgetl.fronts.image.decoder_versions import decoder_versions
from edgetl.fronts.image.examine import Seen, examine
from edgetl.types import FrontName


class ImageFront:
    name: FrontName = "image"
    noun = "image"
    a_noun = "an image"
    suffixes = SUFFIXES
    foreign = (".heic", ".heif")
    plain = "JPEG or PNG"
    tables: tuple[str, ...] = ()

    def examine(self, path: Path) -> Seen:
        return examine(path)

    def versions(self) -> Mapping[str, str]:
        return decoder_versions()
