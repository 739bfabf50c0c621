"""What a frozen backbone sees inside boxes: one feature vector for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import roi_align

from edgetl.backbones.examples import load_raw, normalize
from edgetl.backbones.feature_maps import build_feature_maps
from edgetl.backbones.reproducible import choose_device
from edgetl.backbones.speed import channels_last
from edgetl.fronts.batches import frames_of
from edgetl.recipes.recipe import Backbone
from edgetl.types import Progress, ResizePolicy, Sample, WeightSource

STRIDE = 16
_POINTS = 4  # along each side of a box
_BATCH = 8


@torch.inference_mode()
def region_features(
    backbone: Backbone,
    source: WeightSource,
    resize: ResizePolicy,
    samples: Sequence[Sample],
    regions: Sequence[NDArray[np.float32]],
    progress: Progress,
) -> NDArray[np.float32]:
    """(K, C): the mean of the map of stride 16 over 4 x 4 points of each region, in the order of images and regions.

    regions  of each sample, (k, 4) corners x0 y0 x1 y1 in pixels of the image; K in all
    Raises UsageError and WeightsError, as `build_feature_maps` does, and DataError for an image.
    """
    maps, spec, _ = build_feature_maps(backbone, source, resize, (STRIDE,))
    device = choose_device()
    channels_last(maps.requires_grad_(False).to(device))
    p = spec.preprocessing
    frames = frames_of(samples, p)
    found = []
    with progress.task(f"features of objects, {backbone.name}", total=len(samples)) as advance:
        for start in range(0, len(samples), _BATCH):
            part = range(start, min(start + _BATCH, len(samples)))
            images = normalize(load_raw([samples[index] for index in part], p).to(device), p)
            (seen,) = maps(images.contiguous(memory_format=torch.channels_last))
            boxes = [torch.from_numpy(frames[index].to_input(regions[index])).to(device) for index in part]
            # one point in the middle of each of 4 x 4 bins
            points = roi_align(seen.contiguous(), boxes, (_POINTS, _POINTS), 1 / STRIDE, sampling_ratio=1, aligned=True)
            found.append(points.mean((2, 3)).cpu().numpy())
            advance(len(part))
    return np.concatenate(found)
