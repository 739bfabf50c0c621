"""Reproducible runs: seeds and deterministic kernels inside, torch's global state restored afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"  # cuBLAS is only deterministic with a fixed workspace
_CHANCES = ("p", "drop_prob", "drop_rate", "dropout", "attention_dropout")  # what timm and torchvision call them


def choose_device() -> torch.device:
    """The GPU if there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


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


def draws(network: nn.Module) -> bool:
    """Whether the network draws from torch's global generator in training: dropout, stochastic depth."""
    return any(
        isinstance(chance := getattr(module, name, None), float) and chance > 0.0
        for module in network.modules()
        for name in _CHANCES
    )


@contextmanager
def own_draws(network: nn.Module, seed: int) -> Iterator[None]:
    """Inside the block, the draws of `network` depend only on `seed`, not on earlier draws; afterwards torch's
    generators are as before. For a network that draws nothing they are not touched, so several such networks may be
    trained at once."""
    if not draws(network):
        yield
        return
    devices = {parameter.device for parameter in network.parameters() if parameter.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seed)
        yield
