"""Shots as a detector trains on them: images at the input's size, and their objects in its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.backbones.examples import load_raw, raw
from edgetl.fronts.image.decode import decode
from edgetl.fronts.image.resize import resize
from edgetl.fronts.pixels import MOST_BYTES
from edgetl.tasks.detection.networks.base import Targets
from edgetl.types import Boxes, ImagePreprocessing, Sample
from edgetl.types.frames import Frame, frame_of


class Shots:
    """Images by index, decoded once if they fit into memory, with their objects.

    frames  where each image lies in the input;  truths  its objects in pixels of the image
    """

    def __init__(self, samples: Sequence[Sample], preprocessing: ImagePreprocessing) -> None:
        """Raises DataError for an image that cannot be read."""
        self.samples, self.preprocessing = tuple(samples), preprocessing
        self.truths: tuple[Boxes, ...] = tuple(sample.boxes for sample in samples)
        size = len(samples) * preprocessing.height * preprocessing.width * 3
        kept: list[NDArray[np.uint8]] = []
        frames: list[Frame] = []
        for sample in samples:
            rgb = decode(Path(sample.path))
            frames.append(frame_of(rgb.shape[0], rgb.shape[1], preprocessing))
            if size <= MOST_BYTES:
                kept.append(resize(rgb, preprocessing))
        self.frames = tuple(frames)
        self.targets = tuple(targets_in(frame, boxes) for frame, boxes in zip(frames, self.truths, strict=True))
        self._kept = raw(np.stack(kept), preprocessing).contiguous() if kept else None

    def __len__(self) -> int:
        return len(self.samples)

    def images(self, indices: Sequence[int]) -> Tensor:
        """uint8 (n, 3, H, W) of the images `indices`, in their order."""
        if self._kept is not None:
            return self._kept[list(indices)]
        return load_raw([self.samples[index] for index in indices], self.preprocessing)


def targets_in(frame: Frame, boxes: Boxes) -> Targets:
    """The labeled objects of an image in pixels of the input."""
    corners = np.array([(box.x0, box.y0, box.x1, box.y1) for box in boxes], np.float32).reshape(-1, 4)
    return Targets(
        torch.from_numpy(frame.to_input(corners)),
        torch.tensor([box.label for box in boxes], dtype=torch.int64),
        torch.tensor([box.ignore for box in boxes], dtype=torch.bool),
    )
