"""Cross-layer equalization: the same function, with weights that one scale suits better."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from calibrating import calibrate
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edgetl.pivot.from_torch import capture
from edgetl.quant.equalize import equalize, pairs
from edgetl.quant.prepare import prepare
from edgetl.types import CalibrationProfile, Preprocessing, Scheme

P = Preprocessing(16, 16, "squash", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PROFILE = CalibrationProfile("default", "", 8, "min-max")


class Chain(nn.Module):
    """conv - activation - depthwise conv - activation - conv, residual add - conv: uneven channels."""

    def __init__(self, activation: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.c, self.d = nn.Conv2d(8, 6, 1, bias=False), nn.Conv2d(6, 6, 3, padding=1)
        self.e = nn.Conv2d(6, 4, 1)
        self.activation = activation
        # what one layer makes small the next one makes large again, as folded batch norms do
        sizes = torch.logspace(-1.5, 1.5, 8).reshape(-1, 1, 1, 1)
        with torch.no_grad():
            self.a.weight *= sizes
            self.a.bias *= sizes.flatten()  # type: ignore[operator]
            self.b.weight *= sizes.flip(0) / sizes
            self.b.bias *= sizes.flip(0).flatten()  # type: ignore[operator]
            self.c.weight /= sizes.flip(0).reshape(1, -1, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.c(self.activation(self.b(self.activation(self.a(x)))))
        x = self.e(self.d(x) + x)
        return x.mean((2, 3))


@pytest.fixture(scope="module")
def chain() -> nn.Module:
    torch.manual_seed(0)
    return Chain(torch.relu).eval()


@torch.no_grad()
def test_the_equalized_network_is_the_same_function(chain: nn.Module) -> None:
    found = equalize(chain, 16, 16)
    x = 3 * torch.randn(8, 3, 16, 16)
    torch.testing.assert_close(found.module(x), chain(x), rtol=1e-4, atol=1e-4)
    assert found.relative_difference < 1e-5
    assert found.pairs == 2


@torch.no_grad()
def test_both_layers_of_a_pair_end_with_equal_ranges_per_channel(chain: nn.Module) -> None:
    module = equalize(chain, 16, 16).module

    def largest(name: str, axis: int) -> torch.Tensor:
        return module.get_submodule(name).weight.abs().movedim(axis, 0).flatten(1).amax(1)  # type: ignore[operator]

    torch.testing.assert_close(largest("a", 0), largest("b", 0), rtol=0.02, atol=0)
    torch.testing.assert_close(largest("b", 0), largest("c", 1), rtol=0.02, atol=0)


def test_what_is_read_twice_and_what_relu6_clips_stays_as_it_is(chain: nn.Module) -> None:
    # c is read by the sum as well, and a sum is no convolution
    assert [(pair.first, pair.second) for pair in pairs(capture(copy.deepcopy(chain), 16, 16))] == [
        ("a.weight", "b.weight"),
        ("b.weight", "c.weight"),
    ]
    clipped = Chain(nn.functional.relu6).eval()
    found = equalize(clipped, 16, 16)
    assert found.pairs == 0
    assert all(torch.equal(a, b) for a, b in zip(found.module.parameters(), clipped.parameters(), strict=True))


def test_the_original_is_left_untouched(chain: nn.Module) -> None:
    before = {name: value.clone() for name, value in chain.state_dict().items()}
    equalize(chain, 16, 16)
    assert all(torch.equal(before[name], value) for name, value in chain.state_dict().items())


def test_layers_that_run_twice_are_left_alone() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Conv2d(3, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.a(torch.relu(self.a(x)))
            return y.mean((2, 3))

    assert equalize(Twice().eval(), 8, 8).pairs == 0


def test_dead_channels_keep_the_function(chain: nn.Module) -> None:
    dead = copy.deepcopy(chain)
    with torch.no_grad():
        dead.get_submodule("a").weight[2] = 0  # type: ignore[operator]
        dead.get_submodule("b").weight[4] = 0  # type: ignore[operator]
    assert equalize(dead, 16, 16).relative_difference < 1e-5


def _two(exponents: list[float], biases: list[float], seconds: list[float]) -> nn.Module:
    """conv, ReLU, conv; the first one's channels shrunk by powers of ten, what the second reads of them likewise."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
    with torch.no_grad():
        first.weight *= 10.0 ** torch.tensor(exponents).reshape(-1, 1, 1, 1)
        first.bias.copy_(torch.tensor(biases))  # type: ignore[union-attr]
        second.weight *= 10.0 ** torch.tensor(seconds).reshape(1, -1, 1, 1)
    return nn.Sequential(first, nn.ReLU(), second, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


few = st.lists(st.floats(-8, 0), min_size=4, max_size=4)


@torch.no_grad()
@settings(max_examples=8)
@given(few, st.lists(st.floats(-1, 1), min_size=4, max_size=4), few)
def test_no_bias_and_no_factor_grows_without_bounds(
    exponents: list[float], biases: list[float], seconds: list[float]
) -> None:
    network = _two(exponents, biases, seconds)
    found = equalize(network, 8, 8)
    before, after = network[0], found.module[0]  # type: ignore[index]
    assert after.bias.abs().max() <= 1.0001 * before.bias.abs().max()
    factors = before.weight.flatten(1).norm(dim=1) / after.weight.flatten(1).norm(dim=1)
    assert factors.min() >= 0.999e-3
    assert factors.max() <= 1.001e3


@torch.no_grad()
@pytest.mark.parametrize("exponent", [-2.0, -3.0, -4.0, -6.0])
def test_a_channel_with_hardly_any_weights_costs_no_other_channel_its_steps(exponent: float) -> None:
    network = _two([exponent, 0, 0, 0], [0.3, 0.1, -0.1, 0.2], [0.0] * 4)
    scheme = Scheme("uint8", activation_symmetric=False)
    calibration, others = torch.randn(32, 3, 16, 16), torch.randn(32, 3, 16, 16)
    errors = []
    for each in (equalize(network, 16, 16).module, network):
        prepared = prepare(copy.deepcopy(each), P, scheme, PROFILE)
        calibrate(prepared, [calibration], P)
        errors.append(float((prepared(others) - network(others)).square().mean().sqrt()))
    assert errors[0] < 1.3 * errors[1]


@torch.no_grad()
@pytest.mark.parametrize("granularity", ["tensor", "channel"])
def test_rounding_costs_less_afterwards(chain: nn.Module, granularity: str) -> None:
    scheme = Scheme("uint8", activation_symmetric=False, weight_granularity=granularity)  # type: ignore[arg-type]
    calibration, others = torch.randn(32, 3, 16, 16), torch.randn(32, 3, 16, 16)
    errors = []
    for network in (equalize(chain, 16, 16).module, chain):
        prepared = prepare(copy.deepcopy(network), P, scheme, PROFILE)
        calibrate(prepared, iter([calibration]), P)
        errors.append(float((prepared(others) - chain(others)).square().mean().sqrt()))
    assert errors[0] < 0.7 * errors[1]
