"""Frozen batch norms in the weights before them: the same function, the same gradients."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

from edgetl.adapt.merged import merged
from edgetl.backbones.freeze import set_modes


def _network(name: str) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = timm.create_model(name, pretrained=False, num_classes=3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # as trained ones: nothing is one or zero
            assert module.running_mean is not None
            assert module.running_var is not None
            for tensor in (module.running_mean, module.running_var, module.weight.data, module.bias.data):
                tensor.uniform_(0.5, 1.5)
    return network


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit"])
def test_the_function_and_its_gradients_are_those_of_the_network(name: str) -> None:
    network = _network(name)
    set_modes(network)
    size = 160 if name == "test_vit" else 32
    images, labels = torch.randn(3, 3, size, size), torch.tensor([0, 1, 2])
    made = merged(network, images)
    assert made.at_once >= 1

    def gradients(logits: torch.Tensor) -> dict[str, torch.Tensor]:
        network.zero_grad()
        functional.cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
        return {key: value.grad.clone() for key, value in network.named_parameters() if value.grad is not None}

    plain, fast = gradients(network(images)), gradients(made.forward(images))
    assert plain.keys() == fast.keys()
    for key, value in plain.items():
        torch.testing.assert_close(fast[key], value, rtol=1e-2, atol=1e-4 * float(value.abs().max()) + 1e-6)


def test_what_is_trained_later_is_used_and_frozen_parameters_get_no_gradient() -> None:
    network = _network("test_efficientnet")
    set_modes(network)
    images = torch.randn(2, 3, 32, 32)
    made = merged(network, images)
    before = made.forward(images).detach()
    other = copy.deepcopy(network)
    for one in (network, other):
        with torch.no_grad():
            one.get_parameter("bn1.weight").mul_(2)
    torch.testing.assert_close(made.forward(images), other(images), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(made.forward(images), before)
    network.get_parameter("conv_stem.weight").requires_grad_(False)
    made.forward(images).sum().backward()  # type: ignore[no-untyped-call]
    assert network.get_parameter("conv_stem.weight").grad is None
    assert network.get_parameter("classifier.weight").grad is not None


def test_modes_stay_as_they_were() -> None:
    network = _network("test_efficientnet").train()
    merged(network, torch.randn(2, 3, 32, 32))
    assert all(module.training for module in network.modules())
