"""Deterministic sections."""

from __future__ import annotations

import os

import pytest
import torch

from edgetl.backbones.reproducible import deterministic

CPU = torch.device("cpu")


def test_the_seed_decides_what_is_drawn_inside() -> None:
    drawn = []
    for seed in (1, 1, 2):
        with deterministic(seed, CPU):
            drawn.append(torch.rand(3))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_torch_is_left_as_it_was_also_after_an_error() -> None:
    def state() -> tuple[object, ...]:
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.benchmark,
            os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
            torch.get_rng_state().tolist(),
        )

    def fail() -> None:
        with deterministic(5, CPU):
            assert torch.are_deterministic_algorithms_enabled()
            torch.rand(1)
            raise KeyError

    before = state()
    with pytest.raises(KeyError):
        fail()
    assert state() == before
