"""Runs that repeat: seeds and deterministic kernels inside, torch's global state as before afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"  # cuBLAS is only deterministic with a fixed workspace


@contextmanager
def deterministic(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch and demand deterministic kernels; restore generators and switches on leaving.

    On a GPU, operations without a deterministic kernel (few, none on the CPU) only warn.
    """
    switches = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    workspace = os.environ.get(_CUBLAS)
    devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        try:
            os.environ.setdefault(_CUBLAS, ":4096:8")
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
            torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
            torch.manual_seed(seed)
            yield
        finally:
            torch.use_deterministic_algorithms(switches[0], warn_only=switches[1])
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
            if workspace is None:
                os.environ.pop(_CUBLAS, None)
