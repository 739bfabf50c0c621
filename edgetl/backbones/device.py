"""Where networks run while they are read and trained."""

from __future__ import annotations

import torch


def choose_device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
