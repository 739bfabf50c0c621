"""Batch norms after an operation put out what they put out before, in mean and variance."""

from __future__ import annotations

import copy

import pytest
import torch
from gated_networks import EFFICIENT, MOBILE, SIZE, images, settled
from torch import Tensor, nn

from edgetl.backbones.replaceable import RELU, operate
from edgetl.quant.simplify.moments import match_moments
from edgetl.types import NetworkSpec


@torch.no_grad()
def _outputs_of_norms(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """What each batch norm computes, before an activation that it may apply itself."""
    found: dict[str, Tensor] = {}

    def hook(name: str) -> object:
        def compute(norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
            found[name] = nn.functional.batch_norm(
                inputs[0], norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
            )

        return compute

    norms = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [module.register_forward_pre_hook(hook(name)) for name, module in norms]  # type: ignore[arg-type]
    network(x)
    for each in hooks:
        each.remove()
    return found


@pytest.mark.parametrize("spec", [EFFICIENT, MOBILE], ids=lambda spec: spec.architecture)
def test_means_and_variances_behind_every_norm_are_the_teachers(spec: NetworkSpec) -> None:
    teacher, x = settled(spec), images(32, 3)
    student = operate(copy.deepcopy(teacher), (RELU,), (3, SIZE, SIZE))
    count = match_moments(student, teacher, x)
    expected, found = _outputs_of_norms(teacher, x), _outputs_of_norms(student, x)
    assert count == len(expected) == len(found)
    for name, wanted in expected.items():
        scale = float(wanted.std()) + 1e-3
        torch.testing.assert_close(found[name].mean((0, 2, 3)), wanted.mean((0, 2, 3)), rtol=0, atol=1e-2 * scale)
        variances = found[name].var((0, 2, 3)), wanted.var((0, 2, 3))
        # a channel that a ReLU left with hardly any variance cannot be scaled up to it again
        assert torch.isclose(*variances, rtol=3e-2, atol=1e-2 * scale**2).float().mean() > 0.98, name


def test_the_logits_come_much_closer_to_the_teachers_than_without() -> None:
    teacher, x, others = settled(EFFICIENT), images(64, 3), images(32, 4)
    student = operate(copy.deepcopy(teacher), (RELU,), (3, SIZE, SIZE))
    before = float((student(others) - teacher(others)).square().mean())
    match_moments(student, teacher, x)
    assert float((student(others) - teacher(others)).square().mean()) < 0.5 * before


def test_a_network_that_was_not_changed_stays_the_same_function() -> None:
    teacher, x = settled(EFFICIENT), images(16, 3)
    student = copy.deepcopy(teacher)
    match_moments(student, teacher, x)
    torch.testing.assert_close(student(x), teacher(x), rtol=1e-4, atol=1e-4)


def test_a_channel_without_variance_stays_finite() -> None:
    teacher, x = settled(EFFICIENT), images(8, 3)
    norm = teacher.get_submodule("bn1")
    assert isinstance(norm, nn.BatchNorm2d)
    teacher.get_parameter("conv_stem.weight")[0] = 0.0
    student = operate(copy.deepcopy(teacher), (RELU,), (3, SIZE, SIZE))
    match_moments(student, teacher, x)
    assert bool(student(x).isfinite().all())
    assert all(bool((tensor >= 0).all()) for name, tensor in student.state_dict().items() if "running_var" in name)
