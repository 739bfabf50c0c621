"""Equalization touches some layers of a network: floating a layer keeps the network's function all the same."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache

import numpy as np
import onnx
import pytest
import torch
from calibrating import calibrate
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_network import LABELS, PREPROCESSING, SIZE, double_weight_scale, pictures, quantized_pivot, run
from torch import Tensor, nn

from edgetl.errors import BackendError
from edgetl.fronts.image.normalize import normalize
from edgetl.pivot.equalized import EQUALIZED_KEY, equalized_layers, mark_equalized
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.mixed import ONE_STEP, Originals, float_layers, layers, originals_of, quantize_only, weight_steps
from edgetl.pivot.preprocess import attach
from edgetl.quant.equalize import equalize
from edgetl.quant.prepare import convert, prepare
from edgetl.types import CalibrationProfile, Scheme

IMAGES = pictures(8, seed=7)[0]
NAMES = ("a", "b", "c", "d", "e", "f", "head")
PAIR = {"e", "f"}


class Six(nn.Module):
    """Six convolutions with ReLU6 between them, but for the last two, whose uneven channels can be equalized."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=1)
        self.c, self.d = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1)
        self.e, self.f = nn.Conv2d(8, 8, 3, padding=1, bias=bias), nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, len(LABELS))
        sizes = torch.logspace(-1.5, 1.5, 8)
        with torch.no_grad():
            self.e.weight *= sizes.reshape(-1, 1, 1, 1)
            self.f.weight /= sizes.reshape(1, -1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.a, self.b, self.c, self.d):
            x = nn.functional.relu6(layer(x))
        logits: Tensor = self.head(self.f(torch.relu(self.e(x))).mean((2, 3)))
        return logits


@dataclass(frozen=True)
class Made:
    """The two models of a pivot, and what floated layers get."""

    quantized: onnx.ModelProto
    reference: onnx.ModelProto

    @property
    def originals(self) -> Originals | None:
        return originals_of(self.quantized, self.reference)

    def error(self, model: onnx.ModelProto) -> float:
        """Root mean square of the difference from the float network's logits over their standard deviation."""
        expected: NDArray[np.float32] = run(self.reference, IMAGES)[0]
        return float(np.sqrt(np.square(run(model, IMAGES)[0] - expected).mean()) / expected.std())


@cache
def made(bias: bool = True) -> Made:
    torch.manual_seed(0)
    network = Six(bias).eval()
    equalized = equalize(network, SIZE, SIZE)
    scheme, profile = Scheme("uint8", activation_symmetric=False), CalibrationProfile("default", "", 64, "min-max")
    prepared = prepare(copy.deepcopy(equalized.module), PREPROCESSING, scheme, profile)
    calibrate(prepared, [torch.from_numpy(normalize(pictures(64, seed=1)[0], PREPROCESSING))], PREPROCESSING)
    quantized = to_onnx(convert(prepared, PREPROCESSING), SIZE, SIZE)
    mark_equalized(quantized, equalized.places, equalized.convolutions)
    plain = to_onnx(network, SIZE, SIZE)
    return Made(*(attach(model, PREPROCESSING, LABELS) for model in (quantized, plain)))


def test_the_models_metadata_names_the_scaled_layers_alone() -> None:
    assert [layer.name for layer in layers(made().quantized)] == list(NAMES)
    assert equalized_layers(made().quantized) == PAIR
    assert equalized_layers(made().reference) == equalized_layers(quantized_pivot()) == frozenset()


def test_scaled_weights_are_far_from_the_float_networks_and_the_others_are_not() -> None:
    steps = weight_steps(made().quantized, made().reference)
    assert {name for name, distance in steps.items() if distance > ONE_STEP} == PAIR


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_of_its_own_in_float_never_makes_another_function(name: str) -> None:
    whole = made().error(made().quantized)
    assert made().error(float_layers(made().quantized, [name], made().originals)) < 1.5 * whole


def test_only_layers_that_were_not_scaled_get_the_float_networks_weights() -> None:
    originals = made().originals
    assert originals is not None
    assert set(originals) == set(NAMES) - PAIR


@settings(max_examples=10)
@given(st.sets(st.sampled_from(NAMES)))
def test_no_set_of_floated_layers_makes_another_function(names: set[str]) -> None:
    whole = made().error(made().quantized)
    for model in (
        float_layers(made().quantized, names, made().originals),
        quantize_only(made().quantized, names, made().originals),
    ):
        assert made().error(model) < 1.5 * whole


def test_a_fault_beside_scaled_layers_is_still_undone() -> None:
    faulty = onnx.ModelProto()
    faulty.CopyFrom(made().quantized)
    weight = next(tensor.name for tensor in faulty.graph.initializer if list(tensor.dims) == [len(LABELS), 8])
    dequantizer = next(node for node in faulty.graph.node if weight in node.input)
    scale = next(tensor for tensor in faulty.graph.initializer if tensor.name == dequantizer.input[1])
    doubled = onnx.numpy_helper.from_array(2 * onnx.numpy_helper.to_array(scale), f"{scale.name}.doubled")
    faulty.graph.initializer.append(doubled)
    dequantizer.input[1] = doubled.name
    assert made().error(faulty) > 20 * made().error(made().quantized)
    mended = float_layers(faulty, ["head"], originals_of(faulty, made().reference))
    assert made().error(mended) < 1.5 * made().error(made().quantized)


def test_a_scaled_layer_without_a_bias_is_found_though_the_exporter_drops_its_name() -> None:
    names = [layer.name for layer in layers(made(bias=False).quantized)]
    assert names[4] not in NAMES
    assert equalized_layers(made(bias=False).quantized) == {names[4], "f"}


def test_where_the_model_has_other_convolutions_no_layer_gets_the_float_networks_weights() -> None:
    model = onnx.ModelProto()
    model.CopyFrom(made().quantized)
    del model.metadata_props[:]
    mark_equalized(model, (4, 5), 7)
    assert equalized_layers(model) == set(NAMES)
    assert originals_of(model, made().reference) is None


def test_a_network_that_is_not_equalized_says_nothing() -> None:
    model = double_weight_scale(quantized_pivot(), "widen")
    mark_equalized(model, (), 3)
    assert EQUALIZED_KEY not in {entry.key for entry in model.metadata_props}


@pytest.mark.parametrize("value", ["", "{}", "[1]", "e, f"])
def test_metadata_that_is_not_ours_is_refused(value: str) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(quantized_pivot())
    model.metadata_props.add(key=EQUALIZED_KEY, value=value)
    with pytest.raises(BackendError, match="expected names of layers"):
        equalized_layers(model)
