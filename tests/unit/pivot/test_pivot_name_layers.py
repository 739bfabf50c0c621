"""One name per layer: what `blame`, `forecast` and the report call it is what torch calls it."""

from __future__ import annotations

import tiny_network

from edgetl.diagnose.forecast.network import Network
from edgetl.pivot import mixed


def test_blame_names_the_layers_as_torch_does() -> None:
    assert tuple(layer.name for layer in mixed.layers(tiny_network.quantized_pivot())) == tiny_network.LAYERS


def test_forecast_names_them_alike_although_the_runtime_has_fused_them() -> None:
    assert tuple(layer.name for layer in Network(tiny_network.quantized_pivot()).layers) == tiny_network.LAYERS
