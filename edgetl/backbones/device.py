"""The device on which networks run while features are computed and weights are trained."""

from __future__ import annotations

import torch


def choose_device() -> torch.device:
    """The GPU if there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
