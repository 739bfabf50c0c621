"""Gates as constants: the best ones, and folding them changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from gated_networks import ALL, SIZE, Branches, Gated, images, settle, settled
from torch import Tensor, nn

from edgetl.backbones.replaceable import Fold, drop_gates, folds
from edgetl.quant.simplify.squeeze_excite import constants, write_constants
from edgetl.types import NetworkSpec


@torch.no_grad()
def _by_hand(network: nn.Module, factors: dict[str, Tensor], x: Tensor) -> Tensor:
    """What the network says when each gate's output is its input times the constant."""
    hooks = [
        network.get_submodule(name).register_forward_hook(
            lambda _, inputs, __, factor=factor: inputs[0] * factor[None, :, None, None]
        )
        for name, factor in factors.items()
    ]
    found: Tensor = network(x)
    for hook in hooks:
        hook.remove()
    return found


@torch.no_grad()
def _check_folded(network: nn.Module) -> None:
    factors, x = constants(network, [images(16), images(8, 5)]), images(4, 9)
    expected = _by_hand(network, factors, x)
    assert float((network(x) - expected).abs().max()) > 1e-3, "constants are another function than gates"
    places = folds(network, (3, SIZE, SIZE))
    drop_gates(network, places)
    write_constants(network, places, factors)
    torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.architecture)
def test_folded_constants_give_the_logits_of_constant_multiplications(spec: NetworkSpec) -> None:
    _check_folded(settled(spec))


@pytest.mark.parametrize(
    ("behind", "act_before"),
    [
        (lambda: nn.Conv2d(8, 8, 3, padding=1, groups=4), True),
        (lambda: nn.Conv2d(8, 8, 3, padding=1, groups=8), True),
        (lambda: nn.Conv2d(8, 8, 3, padding=1), True),
        (Branches, False),
        (Branches, True),
    ],
    ids=["grouped", "depthwise", "convolution", "norm", "multiplication"],
)
def test_so_do_grouped_convolutions_norms_and_what_stays(behind: Callable[[], nn.Module], act_before: bool) -> None:
    _check_folded(settle(Gated(behind, act_before=act_before)))


def test_the_constant_of_a_gate_is_the_one_with_the_least_squared_error() -> None:
    network = settle(Gated(Branches, act_before=True))
    assert isinstance(network, Gated)
    seen: list[tuple[Tensor, Tensor]] = []
    hook = network.gate.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    factor = constants(network, [images(16)])["gate"]
    hook.remove()
    ((x, y),) = seen

    def error(candidate: Tensor) -> Tensor:
        return (y - candidate[None, :, None, None] * x).double().square().sum((0, 2, 3))

    assert bool((factor > 0).all() and (factor < 1).all())
    for step in (-1e-2, 1e-2):
        assert bool((error(factor) < error(factor + step)).all())


def test_a_channel_that_is_always_zero_keeps_a_factor_of_one() -> None:
    network = settle(Gated(Branches, act_before=True))
    assert isinstance(network, Gated)
    network.norm2.weight[0], network.norm2.bias[0] = 0.0, -1.0
    factor = constants(network, [images(4)])["gate"]
    assert factor[0] == 1.0
    assert bool((factor[1:] < 1).all())


def test_batches_add_up() -> None:
    network, all_at_once = settle(Gated(Branches, act_before=True)), images(12)
    apart = constants(network, [all_at_once[:5], all_at_once[5:]])["gate"]
    torch.testing.assert_close(apart, constants(network, [all_at_once])["gate"])


def test_a_fold_names_its_gate_and_layer() -> None:
    network = settle(Gated(lambda: nn.Conv2d(8, 8, 1), act_before=True))
    assert folds(network, (3, SIZE, SIZE)) == [Fold("gate", 8, "convolution", "behind")]
