"""Bias correction: what rounding adds to the means is taken back."""

from __future__ import annotations

import copy

import pytest
import torch
from calibrating import calibrate
from torch import nn
from torch.fx import GraphModule

from edgetl.quant.bias import correct_biases
from edgetl.quant.fakequant import quantizers
from edgetl.quant.prepare import convert, prepare
from edgetl.quant.quantizer import biased_layers
from edgetl.types import CalibrationProfile, ImagePreprocessing, Scheme

P = ImagePreprocessing(16, 16, "squash", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
COARSE = Scheme("uint8", activation_symmetric=False, weight_granularity="tensor")
PROFILE = CalibrationProfile("default", "", 8, "min-max")


class Deep(nn.Module):
    """Three convolutions and a linear layer, with channels of very different sizes: one scale suits them badly."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.c, self.head = nn.Conv2d(8, 16, 1), nn.Linear(16, 5)
        for layer in (self.a, self.b, self.c, self.head):
            nn.init.normal_(layer.weight, std=0.3)
            with torch.no_grad():
                layer.weight *= torch.logspace(-2, 0, len(layer.weight)).reshape(-1, *[1] * (layer.weight.ndim - 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.b(nn.functional.relu6(self.a(x))))
        y: torch.Tensor = self.head(torch.relu(self.c(x)).mean((2, 3)))
        return y


@pytest.fixture(scope="module")
def made() -> tuple[nn.Module, GraphModule, list[torch.Tensor]]:
    torch.manual_seed(0)
    network = Deep().eval()
    batches = [torch.randn(count, 3, 16, 16) for count in (16, 16, 5)]
    prepared = prepare(copy.deepcopy(network), P, COARSE, PROFILE)
    calibrate(prepared, iter(batches), P)
    return network, prepared, batches


PASSED = {"a": (0.0, 6.0), "b": (0.0, torch.inf), "c": (0.0, torch.inf), "head": (-torch.inf, torch.inf)}
"""What the activation behind each layer of `Deep` lets through."""


def _outputs_of_layers(network: nn.Module, batches: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Outputs of each layer in order, (channels, images x positions), by hooks on the network itself."""
    found: dict[str, list[torch.Tensor]] = {}
    hooks = [
        part.register_forward_hook(lambda _, __, out, name=name: found.setdefault(name, []).append(out.detach()))
        for name, part in network.named_children()
    ]
    for batch in batches:
        network(batch)
    for hook in hooks:
        hook.remove()
    return {name: _by_channel(outputs) for name, outputs in found.items()}


def _by_channel(outputs: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat(outputs).movedim(1, 0).flatten(1).double()


def _logits_error(network: nn.Module, other: nn.Module, images: torch.Tensor) -> float:
    with torch.no_grad():
        return float((network(images) - other(images)).square().mean().sqrt())


@torch.no_grad()
def test_every_layers_mean_is_the_float_networks_afterwards_where_its_activation_passes(
    made: tuple[nn.Module, GraphModule, list[torch.Tensor]],
) -> None:
    network, prepared, batches = made[0], copy.deepcopy(made[1]), made[2]
    corrections = correct_biases(prepared, batches)
    assert len(corrections) == 4
    assert all(correction.after < 1e-5 + 0.01 * correction.before for correction in corrections)
    assert max(correction.before for correction in corrections) > 1e-3
    # seen from outside: a run of the corrected graph as a whole has the float network's means at every layer
    found: dict[torch.fx.Node, list[torch.Tensor]] = {}
    layers = {layer.node: layer for layer in biased_layers(prepared)}

    class Look(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> object:
            output = super().run_node(n)
            if n in layers:
                found.setdefault(n, []).append(output)
            return output

    for batch in batches:
        Look(prepared).run(batch)
    exact = _outputs_of_layers(network, batches)
    for (name, (low, high)), outputs in zip(PASSED.items(), found.values(), strict=True):
        passed = (exact[name] > low) & (exact[name] < high)
        compared = passed.sum(1) >= 8
        error = ((_by_channel(outputs) - exact[name]) * passed).sum(1) / passed.sum(1).clamp(min=1)
        assert compared.any()
        torch.testing.assert_close(error[compared], torch.zeros_like(error[compared]), atol=1e-4, rtol=0)


def test_errors_where_relu_passes_nothing_do_not_move_the_bias() -> None:
    """Bright images are beyond what the input can hold, and put the channel far below zero; only dark ones count."""

    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 2, 1), nn.Conv2d(2, 2, 1)
            with torch.no_grad():
                self.a.weight[:] = torch.tensor([[-0.3, -0.3, -0.3], [10.0, 1.0, 1.0]])[:, :, None, None]
                self.a.bias[:] = torch.tensor([0.5, 0.0])  # type: ignore[index]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.b(torch.relu(self.a(x))).mean((2, 3))
            return y

    torch.manual_seed(0)
    dark, bright = torch.rand(8, 3, 16, 16) * 0.2, 50 + torch.rand(8, 3, 16, 16)
    prepared = prepare(One().eval(), P, COARSE, PROFILE)
    calibrate(prepared, iter([dark, bright]), P)
    (first, _) = biased_layers(prepared)
    before = first.bias.detach().clone()
    correct_biases(prepared, [dark, bright])
    with_bright = first.bias.detach() - before
    assert with_bright[0].abs() < 0.05


def test_the_logits_come_closer_to_the_float_networks_on_other_images(
    made: tuple[nn.Module, GraphModule, list[torch.Tensor]],
) -> None:
    network, before, batches = made
    corrected = copy.deepcopy(before)
    correct_biases(corrected, batches)
    others = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(7))
    assert _logits_error(network, corrected, others) < 0.8 * _logits_error(network, before, others)


def test_the_gain_survives_conversion(made: tuple[nn.Module, GraphModule, list[torch.Tensor]]) -> None:
    network, before, batches = made
    corrected = copy.deepcopy(before)
    correct_biases(corrected, batches)
    others = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(8))
    errors = [_logits_error(network, convert(copy.deepcopy(graph), P), others) for graph in (corrected, before)]
    assert errors[0] < 0.8 * errors[1]


def test_only_biases_move(made: tuple[nn.Module, GraphModule, list[torch.Tensor]]) -> None:
    before, corrected = made[1], copy.deepcopy(made[1])
    correct_biases(corrected, made[2])
    moved = {
        name
        for (name, value), other in zip(before.state_dict().items(), corrected.state_dict().values(), strict=True)
        if not torch.equal(value, other)
    }
    assert {name.rpartition(".")[2] for name in moved} == {"bias"}
    assert all(part.frozen for part in quantizers(corrected))


def test_sizes_of_batches_do_not_matter(made: tuple[nn.Module, GraphModule, list[torch.Tensor]]) -> None:
    apart, together = copy.deepcopy(made[1]), copy.deepcopy(made[1])
    correct_biases(apart, made[2])
    correct_biases(together, [torch.cat(made[2])])
    for one, other in zip(biased_layers(apart), biased_layers(together), strict=True):
        torch.testing.assert_close(one.bias, other.bias, atol=1e-4, rtol=1e-4)


def test_layers_without_a_bias_or_with_a_shared_one_stay_as_they_are() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 3, 3, 1, 1), nn.Conv2d(3, 4, 1, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.b(torch.relu(self.a(torch.relu(self.a(x)))))).mean((2, 3))

    torch.manual_seed(0)
    prepared = prepare(Shared().eval(), P, COARSE, PROFILE)
    batch = torch.randn(4, 3, 16, 16)
    calibrate(prepared, iter([batch]), P)
    before = {name: value.clone() for name, value in prepared.state_dict().items()}
    assert correct_biases(prepared, [batch]) == []
    assert all(torch.equal(before[name], value) for name, value in prepared.state_dict().items())


def test_branches_that_share_a_scale_are_corrected_too() -> None:
    class Fire(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.one = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1)
            self.three, self.head = nn.Conv2d(8, 4, 3, padding=1), nn.Conv2d(8, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = nn.functional.max_pool2d(torch.relu(self.stem(nn.functional.pad(x, (0, 1, 0, 1)))), 2)
            x = torch.cat([torch.relu(self.one(x)), torch.relu(self.three(x))], 1)
            return torch.relu(self.head(x)).mean((2, 3))

    torch.manual_seed(0)
    prepared = prepare(Fire().eval(), P, COARSE, PROFILE)
    batch = torch.randn(8, 3, 16, 16)
    calibrate(prepared, iter([batch]), P)
    corrections = correct_biases(prepared, [batch])
    assert len(corrections) == 4
    assert all(correction.after < 1e-5 + 0.01 * correction.before for correction in corrections)
