"""Features of the frozen backbone for the plain and some augmented views, computed once."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgetl.adapt.images import Images
from edgetl.backbones.augment import Augment
from edgetl.backbones.head import features
from edgetl.backbones.inputs import normalise
from edgetl.types import Preprocessing, Progress


@torch.no_grad()
def extract(
    network: nn.Module,
    head: str,
    images: Images,
    preprocessing: Preprocessing,
    augment: Augment,
    *,
    views: int,
    batch_size: int,
    seed: int,
    device: torch.device,
    progress: Progress,
) -> NDArray[np.float32]:
    """(1 + views, N, F) float32: view 0 is plain, the others are drawn from `seed`. `network` is in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    plain = Augment("none", preprocessing.height, preprocessing.width)
    rows = []
    with progress.task("features", total=(1 + views) * len(images)) as advance:
        for view in range(1 + views):
            for start in range(0, len(images), batch_size):
                batch = images[range(start, min(start + batch_size, len(images)))]
                shown = (plain if view == 0 else augment)(batch, generator)
                pooled, _ = features(network, head, normalise(shown.to(device), preprocessing))
                rows.append(pooled.float().cpu().numpy())
                advance(len(batch))
    flat = np.concatenate(rows)
    return flat.reshape(1 + views, len(images), flat.shape[1])
