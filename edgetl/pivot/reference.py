"""The adapted float network on the validation images: the reference for every build."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import nn

from edgetl.backbones.load import rebuild
from edgetl.backbones.spec import read_spec
from edgetl.data.batches import batches
from edgetl.fronts.image.normalize import normalize
from edgetl.pivot.float_logits import FILE_NAME, Logits
from edgetl.pivot.fold import fold
from edgetl.recipes.run import Run
from edgetl.store.records import NETWORK_SPEC, NETWORK_STATE
from edgetl.types import NetworkSpec, Progress, Sample


def write_float_logits(run: Run, adapted: Path, out: Path) -> None:
    """Write the logits of the network in `adapted` on all validation images, in order, into the folder `out`."""
    spec = read_spec(adapted / NETWORK_SPEC)
    p = spec.preprocessing
    network = fold(rebuild(spec, adapted / NETWORK_STATE), p.height, p.width).module
    save_file({"logits": float_logits(network, run.split.val, spec, run.progress)}, out / FILE_NAME)


def float_logits(network: nn.Module, samples: tuple[Sample, ...], spec: NetworkSpec, progress: Progress) -> Logits:
    """(N, classes) float32 logits of the folded float network, in order."""
    parts: list[Logits] = []
    with progress.task("float network on the validation images", len(samples)) as advance:
        for batch in batches(samples, spec.preprocessing):
            parts.append(torch_logits(network, batch, spec))
            advance(len(batch))
    return np.concatenate(parts) if parts else np.zeros((0, spec.num_classes), np.float32)


@torch.no_grad()
def torch_logits(network: nn.Module, images: NDArray[np.uint8], spec: NetworkSpec) -> Logits:
    """(N, classes) float32 of `images` (N, H, W, 3)."""
    logits: Logits = network(torch.from_numpy(normalize(images, spec.preprocessing))).float().numpy()
    return logits
