"""Calibration in one call, for tests that look at what comes behind it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from edgetl.quant.prepare import fix_ranges
from edgetl.types import ImagePreprocessing


@torch.no_grad()
def calibrate(prepared: nn.Module, batches: Iterable[Tensor], p: ImagePreprocessing) -> None:
    """Show normalized float32 (n, 3, H, W) batches to the observers, then fix all activation ranges and round."""
    for batch in batches:
        prepared(batch)
    fix_ranges(prepared, p)
