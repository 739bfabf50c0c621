"""Golden vectors: a few validation images that every bundle must reproduce, from the picture to the logits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgetl.data.images import decode
from edgetl.data.resize import resize
from edgetl.types import Preprocessing, Sample

COUNT = 4
MAX_SIDE = 512


def choose(samples: Sequence[Sample], count: int = COUNT) -> list[Sample]:
    """`count` samples, of as many classes as possible, in the order they are listed."""
    seen: dict[int, int] = {}
    ranked: list[tuple[int, int]] = []
    for index, sample in enumerate(samples):
        seen[sample.label] = seen.get(sample.label, 0) + 1
        ranked.append((seen[sample.label], index))
    return [samples[index] for index in sorted(index for _, index in sorted(ranked)[:count])]


def write_images(samples: Sequence[Sample], p: Preprocessing, folder: Path) -> NDArray[np.uint8]:
    """Write `<i>.png` (RGB, lossless, at most 512 px on the longer side) and `<i>.input.npy` (uint8 (H, W, 3), that
    PNG resized) for every sample; returns the inputs as uint8 (N, H, W, 3). Raises DataError."""
    folder.mkdir()
    inputs = np.empty((len(samples), p.height, p.width, 3), np.uint8)
    for index, sample in enumerate(samples):
        picture = Image.fromarray(decode(Path(sample.path)))
        if max(picture.size) > MAX_SIDE:
            picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
        picture.save(folder / f"{index}.png", optimize=True)
        inputs[index] = resize(np.asarray(picture), p)
        np.save(folder / f"{index}.input.npy", inputs[index], allow_pickle=False)
    return inputs
