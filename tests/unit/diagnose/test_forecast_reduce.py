"""Reduced range changes the named layers, and nothing else."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from saturating_models import bright_images, network

from edgetl.diagnose.forecast.forecast import exact, logits, saturated
from edgetl.diagnose.forecast.network import Network
from edgetl.diagnose.forecast.reduce import reduce_range
from edgetl.errors import UsageError


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_a_named_layer_gets_weights_of_7_bits_at_twice_the_scale() -> None:
    model = network()
    reduced = reduce_range(model, ["first_layer"])
    onnx.checker.check_model(reduced, full_check=True)
    before, after = constants(model), constants(reduced)
    weights = after["first_layer_1_reduced_integers"]
    assert weights.dtype == np.int8
    assert -64 <= weights.min() <= weights.max() <= 63
    np.testing.assert_array_equal(after["first_layer_1_reduced_scale"], 2 * before["first_scale"])
    assert np.abs(2 * weights.astype(int) - before["first"]).max() <= 1


def test_every_other_layer_stays_as_it_is_and_so_does_the_model_itself() -> None:
    model = network()
    stored = model.SerializeToString()
    before, after = constants(model), constants(reduce_range(model, ["first_layer"]))
    assert model.SerializeToString() == stored
    assert set(before) - set(after) == {"first", "first_scale"}
    for name in set(before) & set(after):
        np.testing.assert_array_equal(before[name], after[name])


def test_reducing_no_layer_changes_no_byte() -> None:
    model = network()
    assert reduce_range(model, []).SerializeToString() == model.SerializeToString()


def test_a_reduced_network_answers_the_same_on_both_cpus_and_nearly_as_before() -> None:
    images = [bright_images(4)]
    before = logits(Network(network()), images, exact)
    opened = Network(reduce_range(network(), ["first_layer"]))
    after = logits(opened, images, saturated)
    np.testing.assert_array_equal(after, logits(opened, images, exact))
    assert np.abs(after - before).max() < 0.1 * np.abs(before).max()


def test_a_layer_that_is_emulated_with_half_the_weights_is_the_one_that_is_written() -> None:
    images = [bright_images(4)]
    opened = Network(network())
    emulated = logits(opened, images, lambda layer, data: exact(layer.reduced(), data))
    written = logits(Network(reduce_range(network(), ["first_layer"])), images, exact)
    np.testing.assert_array_equal(emulated, written)


def test_a_bias_in_int32_keeps_its_value() -> None:
    model = network()
    graph = model.graph
    bias, scale = np.array([3, -4, 5, 6, 100, -7, 0, 9], np.int32), constants(model)["first_scale"] / 255
    graph.initializer.append(numpy_helper.from_array(bias, "bias"))
    graph.initializer.append(numpy_helper.from_array(scale, "bias_scale"))
    graph.node.insert(0, helper.make_node("DequantizeLinear", ["bias", "bias_scale"], ["bias_real"], axis=0))
    next(node for node in graph.node if node.name == "first_layer").input.append("bias_real")
    after = constants(reduce_range(model, ["first_layer"]))
    assert after["first_layer_2_reduced_integers"].tolist() == [2, -2, 2, 3, 50, -4, 0, 4]
    np.testing.assert_array_equal(after["first_layer_2_reduced_scale"], 2 * scale)


def test_an_unknown_layer_is_refused_and_the_layers_are_named() -> None:
    with pytest.raises(UsageError, match=r"`nope` is not a layer .* first_layer, second_layer, third_layer"):
        reduce_range(network(), ["nope"])
