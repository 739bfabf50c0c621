"""Channels that one scale cannot hold stay float, and a long negative tail before SiLU costs no steps."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from calibrating import calibrate
from numpy.typing import NDArray
from torch import nn

from edgetl.errors import BackendError
from edgetl.pivot.check import check_scheme
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.layer_view import View
from edgetl.pivot.mixed import layers
from edgetl.quant.observers import Histogram, IntegerType, mse_bound, quantized, silu_range
from edgetl.quant.prepare import annotated_in, convert, layers_in_float, prepare
from edgetl.types import CalibrationProfile, ImagePreprocessing, Scheme

SCHEME = Scheme("uint8", activation_symmetric=False)
PROFILE = CalibrationProfile("default", "", 8, "mse")
P = ImagePreprocessing(16, 16, "squash", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
U8 = IntegerType(0, 255, symmetric=False)


class Stem(nn.Module):
    """A first convolution with SiLU whose last channel is `widest` times as large as the others, a depthwise
    convolution that makes them equal again, two pointwise ones."""

    def __init__(self, widest: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.depthwise = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.one, self.two = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 1)
        with torch.no_grad():
            self.stem.weight[-1] *= widest
            self.depthwise.weight[-1] /= widest

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.silu(self.one(nn.functional.silu(self.depthwise(nn.functional.silu(self.stem(x))))))
        y: torch.Tensor = self.two(x)
        return y


IMAGES = torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def quantized_network(network: nn.Module, seen: torch.Tensor | None) -> nn.Module:
    prepared = prepare(copy.deepcopy(network), P, SCHEME, PROFILE, None if seen is None else lambda: seen)
    calibrate(prepared, iter([IMAGES]), P)
    return prepared


@torch.no_grad()
def error(network: nn.Module, seen: torch.Tensor | None) -> float:
    """Root mean square error of the outputs over their deviation."""
    exact, found = network(IMAGES), quantized_network(network, seen)(IMAGES)
    return float((found - exact).square().mean().sqrt() / exact.std())


@pytest.mark.stage
class TestWideChannels:
    def test_a_layer_that_reads_them_stays_float(self) -> None:
        network = Stem(500.0).eval()
        prepared = quantized_network(network, IMAGES)
        assert annotated_in(prepared) == {"conv": 3}
        in_float = layers_in_float(prepared)
        assert in_float == 1
        model = to_onnx(convert(prepared, P), P.network_shape)
        check_scheme(model, SCHEME, in_float)
        with pytest.raises(BackendError, match=r"depthwise \(Conv\): expected inputs and weights from Deq"):
            check_scheme(model, SCHEME)
        assert [layer.name for layer in layers(model)] == ["stem", "one", "two"]
        rounded = {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
        stem = next(layer.output for layer in layers(model) if layer.name == "stem")
        assert stem not in rounded, "nor is what the first convolution gives"
        assert View(model).meant_for_float() == {"stem", "depthwise", "two"}, "and the last one gives floats"

    def test_the_outputs_then_stay_close(self) -> None:
        network = Stem(500.0).eval()
        assert error(network, IMAGES) < 0.2 * error(network, None)

    def test_equal_channels_are_rounded(self) -> None:
        assert annotated_in(quantized_network(Stem(1.0).eval(), IMAGES)) == {"conv": 4}


def test_values_far_below_zero_do_not_widen_the_range_before_silu() -> None:
    histogram = Histogram()
    values = np.random.default_rng(0).normal(-20, 15, 100_000).astype(np.float32)
    histogram.add(values)
    low, high = silu_range(histogram, U8)
    assert -13 < low < -2
    assert high > 0.5 * values.max()
    bound = mse_bound(histogram, U8)
    assert silu_error(values, (low, high)) < 0.2 * silu_error(values, (max(-bound, values.min()), bound))


def test_values_that_are_all_zero_have_a_range_before_silu() -> None:
    histogram = Histogram()
    histogram.add(np.zeros(8, np.float32))
    assert silu_range(histogram, U8) == (0.0, 0.0)


def silu_error(values: NDArray[np.float32], data: tuple[float, float]) -> float:
    exact = values.astype(np.float64)
    return float(np.mean((silu(quantized(exact, data, U8)) - silu(exact)) ** 2))


def silu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    y: NDArray[np.float64] = x / (1 + np.exp(-x))
    return y
