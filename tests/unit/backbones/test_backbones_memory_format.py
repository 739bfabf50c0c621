"""Weights in the order in which convolutions are fast, whatever other tensors a network has."""

from __future__ import annotations

import torch
from torch import nn

from edgetl.backbones.speed import channels_last


def test_only_weights_of_four_dimensions_change_their_order_and_none_its_values() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2))
    network.register_buffer("position_bias", torch.randn(1, 2, 3, 4, 5))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert channels_last(network) is network
    after = network.state_dict()
    assert after["0.weight"].is_contiguous(memory_format=torch.channels_last)
    assert after["position_bias"].is_contiguous()
    assert all(torch.equal(after[name], before[name]) for name in before)
