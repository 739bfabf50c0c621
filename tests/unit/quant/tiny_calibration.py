"""A small network calibrated on a few drawn pictures; as a program, killed (SIGKILL) at the N-th batch it decodes.

python tiny_calibration.py PICTURES CACHE N
"""

from __future__ import annotations

import copy
import hashlib
import os
import signal
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.fx import GraphModule

from edgetl.backbones.extract import tensors_digest
from edgetl.fronts.batches import load_batch
from edgetl.quant import calibration
from edgetl.quant.calibration import CalibrationImages
from edgetl.quant.observe import observe, observed_places
from edgetl.quant.observed import Observed
from edgetl.quant.prepare import prepare
from edgetl.quant.ranges import RangesCache, key_parts
from edgetl.types import CalibrationProfile, ImagePreprocessing, Progress, Sample, Scheme, Silent

IMAGES = 100  # seven batches, the last one smaller
P = ImagePreprocessing(16, 16, "squash", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SCHEME = Scheme("uint8", activation_symmetric=False)
PROFILE = CalibrationProfile("default", "", IMAGES, "entropy", views=2)
NETWORK = {"architecture": "tiny"}


class Tiny(nn.Module):
    """conv, relu6 - depthwise conv, relu - conv, residual add - pool - linear."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.c, self.head = nn.Conv2d(8, 8, 1), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.relu6(self.a(x))
        x = self.c(torch.relu(self.b(x))) + x
        y: torch.Tensor = self.head(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))
        return y


def tiny(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    network = Tiny()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network.eval()


def pictures(folder: Path, count: int = IMAGES) -> tuple[Sample, ...]:
    """Drawn PNG files, equal at every call; those that are there are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for number in range(count):
        path = folder / f"{number:03d}.png"
        if not path.is_file():
            pixels = np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8) // (1 + number % 3)
            Image.fromarray(pixels).save(path)
        samples.append(Sample(str(path), number % 2, hashlib.sha256(path.read_bytes()).hexdigest()))
    return tuple(samples)


def calibration_images(
    samples: tuple[Sample, ...], profile: CalibrationProfile = PROFILE, policy: str = "natural"
) -> CalibrationImages:
    return CalibrationImages(samples, P, policy, profile, torch.device("cpu"))


def parts_of(module: nn.Module, images: CalibrationImages, **changed: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "network": NETWORK,
        "weights": tensors_digest(module),
        "samples": images.samples,
        "p": P,
        "profile": PROFILE,
        "policy": "natural",
        "scheme": SCHEME,
    }
    return key_parts(**(values | changed))


def prepared_tiny(profile: CalibrationProfile = PROFILE) -> GraphModule:
    """A network of the caller's own, before anything was observed."""
    return copy.deepcopy(_prepared(profile))


@lru_cache
def _prepared(profile: CalibrationProfile) -> GraphModule:
    # capturing takes longer than calibrating
    return prepare(tiny(), P, SCHEME, profile)


def calibrate_tiny(
    samples: tuple[Sample, ...],
    cache: Path | None,
    progress: Progress | None = None,
    profile: CalibrationProfile = PROFILE,
) -> Observed:
    """Observe the small network's ranges, with a cache or without."""
    images = calibration_images(samples, profile)
    kept = RangesCache(cache, "u8s8") if cache else None
    parts = parts_of(tiny(), images, profile=profile)
    return observe(prepared_tiny(profile), images, parts, kept, progress or Silent())


def places() -> tuple[str, ...]:
    return tuple(observed_places(prepared_tiny()))


def _die_at(batch: int) -> None:
    left = batch

    def load(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return load_batch(*arguments)

    vars(calibration)["load_batch"] = load


if __name__ == "__main__":
    _die_at(int(sys.argv[3]))
    calibrate_tiny(pictures(Path(sys.argv[1])), Path(sys.argv[2]))
