"""Samples -> arrays that an engine or a network takes, with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetl.errors import DataError
from edgetl.fronts.audio.load import load_sound
from edgetl.fronts.base import load_front
from edgetl.fronts.image.decode import decode, read_size
from edgetl.fronts.image.resize import resize
from edgetl.fronts.series.load import load_window
from edgetl.fronts.text.load import load_text, load_texts
from edgetl.types import AudioPreprocessing, Preprocessing, Sample, SeriesPreprocessing, TextPreprocessing, as_image
from edgetl.types.frames import Frame, frame_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetl.types import ImagePreprocessing, Preprocessing, Progress, Sample

BATCH = 16
"""Images that are decoded and shown to a network at once."""
TIMED_IMAGES = 16
"""Number of images for measuring latency, used in turn."""


def spread(samples: Sequence[Sample], count: int = TIMED_IMAGES) -> list[Sample]:
    """At most `count` of the samples, evenly spread from the first to the last, in order."""
    return [samples[index] for index in np.unique(np.linspace(0, len(samples) - 1, count).round().astype(int))]


def load_example(path: Path, preprocessing: Preprocessing) -> NDArray[Any]:
    """One file as the deployed network takes it: of the shape and type of `preprocessing.port`. Raises DataError."""
    if isinstance(preprocessing, AudioPreprocessing):
        return load_sound(path, preprocessing)
    if isinstance(preprocessing, TextPreprocessing):
        return load_text(path, preprocessing)
    if isinstance(preprocessing, SeriesPreprocessing):
        return load_window(path, preprocessing)
    return load_framed(path, as_image(preprocessing))[0]


def load_framed(path: Path, preprocessing: ImagePreprocessing) -> tuple[NDArray[np.uint8], Frame]:
    """Decode and resize an image: uint8 (height, width, 3), and where it lies in it. Raises DataError."""
    pixels = decode(path)
    try:
        return resize(pixels, preprocessing), frame_of(pixels.shape[0], pixels.shape[1], preprocessing)
    except DataError as error:  # an image of a shape that cannot be cropped
        raise DataError(f"{path}: {error}") from error


def usable(samples: Sequence[Sample], preprocessing: Preprocessing, progress: Progress) -> tuple[Sample, ...]:
    """The samples that can be decoded and resized; a note for each of the others."""
    kept: list[Sample] = []
    with progress.task(f"reading {load_front(preprocessing.front).noun}s", total=len(samples)) as advance:
        for sample in samples:
            try:
                load_example(Path(sample.path), preprocessing)
                kept.append(sample)
            except DataError as error:
                progress.note(f"skipped: {error}")
            advance(1)
    return tuple(kept)


def load_batch(samples: Sequence[Sample], preprocessing: Preprocessing) -> NDArray[Any]:
    """`load_example` of each sample, in order: (N, ...); texts as long as the longest. Raises DataError."""
    if isinstance(preprocessing, TextPreprocessing):
        return load_texts([Path(sample.path) for sample in samples], preprocessing)
    port = preprocessing.port
    batch = np.empty((len(samples), *(size or 1 for size in port.shape[1:])), port.dtype)
    for row, sample in zip(batch, samples, strict=True):
        row[:] = load_example(Path(sample.path), preprocessing)
    return batch


def batches(samples: Sequence[Sample], preprocessing: Preprocessing, size: int | None = None) -> Iterator[NDArray[Any]]:
    """`load_batch` of `size` samples at a time, in order; the last batch may be smaller. Holds one batch in memory.

    size  None: `BATCH`, and 1 of inputs of any length, as the device takes them: others in the batch would make them
          longer, and dynamic INT8 rounds to the range of all values of a batch

    Raises DataError for an image, ValueError for a size below 1.
    """
    if size is None:
        size = 1 if preprocessing.port.has_open_length else BATCH
    if size < 1:
        raise ValueError(f"expected a batch size of at least 1, found {size}")
    for start in range(0, len(samples), size):
        yield load_batch(samples[start : start + size], preprocessing)


def frames_of(samples: Sequence[Sample], p: Preprocessing) -> tuple[Frame, ...]:
    """Where each image lies in the network's input, by the header of its file. Raises UnreadableImage."""
    return tuple(frame_of(*read_size(Path(sample.path)), as_image(p)) for sample in samples)
