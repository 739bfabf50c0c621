"""Where each image lies in the network's input, read from the headers of the files: nothing is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgetl.fronts.image.decode import opened, orientation, read_bytes
from edgetl.fronts.image.frame import Frame, frame_of
from edgetl.types import Preprocessing, Sample, as_image

_TURNED = 5  # EXIF orientations from here on swap height and width


def frames_of(samples: Sequence[Sample], p: Preprocessing) -> tuple[Frame, ...]:
    """Raises UnreadableImage."""
    return tuple(frame_of(*size_of(Path(sample.path)), as_image(p)) for sample in samples)


def size_of(path: Path) -> tuple[int, int]:
    """(height, width) in pixels of the upright image. Raises UnreadableImage."""
    with opened(read_bytes(path), str(path)) as image:
        width, height = image.size
        return (width, height) if orientation(image) >= _TURNED else (height, width)
