from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
from backend_pivots import images as pivot_images
from backend_pivots import pivot
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from tiny_network import LAYERS, double_weight_scale, float_pivot, pictures, quantized_pivot, run

from edgetl.backends.base import load
from edgetl.backends.onnx_rules import check_tensorrt, load_pivot
from edgetl.errors import BackendError
from edgetl.pivot.mixed import (
    ONE_STEP,
    Originals,
    expose,
    float_layers,
    layers,
    originals_of,
    quantize_only,
    weight_steps,
    with_probes,
)
from edgetl.pivot.serialize import serialize
from edgetl.recipes.targets import load_target

IMAGES = pictures(8, seed=7)[0]
subsets = st.sets(st.sampled_from(LAYERS))


def _originals() -> Originals:
    found = originals_of(quantized_pivot(), float_pivot())
    assert found is not None
    return found


def _counts(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def _maker(model: onnx.ModelProto, name: str) -> str:
    return next((node.op_type for node in model.graph.node if name in node.output), "constant")


def _inputs_of(model: onnx.ModelProto, layer: str) -> tuple[str, str]:
    """What makes the input and the weights of a layer."""
    names = (f"{layer}.weight.dq", f"{layer}/float_weight")
    (node,) = [each for each in model.graph.node if len(each.input) > 1 and each.input[1] in names]
    return _maker(model, node.input[0]), _maker(model, node.input[1])


def test_layers_are_named_after_their_modules_and_counted() -> None:
    found = layers(quantized_pivot())
    assert tuple(layer.name for layer in found) == LAYERS
    assert [layer.kind for layer in found] == ["convolution"] * 3 + ["linear"]
    assert [layer.weight_shape for layer in found] == [(8, 3, 3, 3), (12, 8, 3, 3), (12, 12, 3, 3), (4, 12)]
    assert [layer.macs for layer in found] == [8 * 27 * 64, 12 * 72 * 64, 12 * 108 * 64, 48]
    # only the branch's result goes into an addition and into nothing else
    assert [layer.name for layer in found if layer.rounded != layer.output] == ["branch"]


def test_a_layer_without_a_bias_is_named_after_its_weights_and_a_float_model_has_none() -> None:
    assert [layer.name for layer in layers(pivot("u8s8"))] == ["conv1", "conv2", "conv3", "gemm"]
    assert layers(float_pivot()) == ()


def test_rounding_moves_weights_by_half_a_step_at_most() -> None:
    steps = weight_steps(quantized_pivot(), float_pivot())
    assert tuple(steps) == LAYERS
    assert all(0.3 < distance <= 0.5 * ONE_STEP for distance in steps.values())


def test_one_layer_that_is_far_off_is_a_fault_and_gets_the_float_weights_back() -> None:
    faulty = double_weight_scale(quantized_pivot(), "widen")
    assert weight_steps(faulty, float_pivot())["widen"] > 10
    originals = originals_of(faulty, float_pivot())
    assert originals is not None
    mended = float_layers(faulty, ["widen"], originals)
    expected = float_layers(quantized_pivot(), ["widen"], _originals())
    np.testing.assert_array_equal(run(mended, IMAGES)[0], run(expected, IMAGES)[0])


def test_weights_that_were_trained_on_stay_what_they_are() -> None:
    trained = quantized_pivot()
    for layer in ("stem", "widen", "branch"):
        trained = double_weight_scale(trained, layer)
    assert originals_of(trained, float_pivot()) is None
    floated = float_layers(trained, LAYERS)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in floated.graph.initializer}
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantized_pivot().graph.initializer}
    scale = stored["widen.weight.scale"].reshape(-1, 1, 1, 1)
    np.testing.assert_array_equal(weights["widen/float_weight"], stored["widen.weight.q"] * (2 * scale))


def test_weights_cut_off_by_the_scale_are_no_other_weights() -> None:
    model = onnx.ModelProto()
    model.CopyFrom(quantized_pivot())
    for tensor in model.graph.initializer:
        if tensor.name in ("stem.weight.q", "stem.weight.scale"):
            values = numpy_helper.to_array(tensor)
            half = values / np.float32(2) if tensor.name.endswith("scale") else np.clip(2.0 * values, -127, 127)
            tensor.CopyFrom(numpy_helper.from_array(half.astype(values.dtype), tensor.name))
    # what was rounded to half the precision before and is stored in finer steps is one step off, not sixty
    assert weight_steps(model, float_pivot())["stem"] <= ONE_STEP


@settings(max_examples=12)
@given(subsets)
def test_floating_layers_leaves_the_others_integer_and_no_useless_pair(names: set[str]) -> None:
    model = float_layers(quantized_pivot(), names, _originals())
    assert {layer.name for layer in layers(model)} == set(LAYERS) - names
    for name in LAYERS:
        integer = name not in names
        source, weights = _inputs_of(model, name)
        assert weights == ("DequantizeLinear" if integer else "constant")
        assert (source == "DequantizeLinear") == integer
    if names == set(LAYERS):
        assert not {"QuantizeLinear", "DequantizeLinear"} & set(_counts(model))


@settings(max_examples=12)
@given(subsets)
def test_quantizing_only_some_layers_leaves_all_else_in_float(names: set[str]) -> None:
    model = quantize_only(quantized_pivot(), names, _originals())
    assert {layer.name for layer in layers(model)} == names
    # a pair per input, and the one into the addition belongs to the branch
    assert _counts(model)["QuantizeLinear"] == len(names) + ("branch" in names)


def test_all_in_float_is_the_float_network() -> None:
    expected = run(float_pivot(), IMAGES)[0]
    for model in (
        float_layers(quantized_pivot(), LAYERS, _originals()),
        quantize_only(quantized_pivot(), (), _originals()),
    ):
        np.testing.assert_allclose(run(model, IMAGES)[0], expected, rtol=1e-5, atol=1e-5)
        # nothing was left over; the classifier's bias is added in a node of its own
        assert _counts(model) == _counts(float_pivot()) + Counter({"Add": 1})


def test_all_in_integers_is_the_quantized_network() -> None:
    expected = run(quantized_pivot(), IMAGES)[0]
    np.testing.assert_array_equal(run(float_layers(quantized_pivot(), ()), IMAGES)[0], expected)
    # addition and mean read unrounded values: close, but not the same
    close = run(quantize_only(quantized_pivot(), LAYERS), IMAGES)[0]
    assert 0 < np.abs(close - expected).max() < 0.05 * np.abs(expected).max()


def test_a_layer_reads_floats_and_its_shared_pair_stays_for_the_addition() -> None:
    model = float_layers(quantized_pivot(), ["branch"], _originals())
    (addition,) = [node for node in model.graph.node if node.op_type == "Add" and "relu_1.dq" in node.input]
    # the branch's own result comes in unrounded, the skipped one as before
    assert sorted(_maker(model, name) for name in addition.input) == ["Conv", "DequantizeLinear"]


def test_mean_and_reshape_before_a_floated_classifier_are_float_too() -> None:
    model = float_layers(quantized_pivot(), ["head"], _originals())
    (mean,) = [node for node in model.graph.node if node.op_type == "ReduceMean"]
    assert _maker(model, mean.input[0]) == "Relu"


def test_the_model_that_was_edited_stays_as_it_was() -> None:
    before = serialize(quantized_pivot())
    float_layers(quantized_pivot(), LAYERS, _originals())
    with_probes(quantized_pivot(), _originals())
    assert serialize(quantized_pivot()) == before


def test_bytes_that_are_the_quantized_input_become_floats_by_plain_arithmetic() -> None:
    model = onnx.ModelProto()
    model.CopyFrom(quantized_pivot())
    shown = [node for node in model.graph.node if not node.name.startswith("image_") and node.name != "input.quantize"]
    shown.insert(0, helper.make_node("Transpose", ["image"], ["input.q"], "image_transpose", perm=[0, 3, 1, 2]))
    del model.graph.node[:]
    model.graph.node.extend(shown)
    expected = run(model, IMAGES)[0]
    own = float_layers(model, ["stem"])
    assert _inputs_of(own, "stem") == ("Mul", "constant")
    # its own weights and the same input: only the order of float operations differs
    np.testing.assert_allclose(run(own, IMAGES)[0], expected, rtol=0.02, atol=0.02 * np.abs(expected).max())
    assert "DequantizeLinear" not in _counts(quantize_only(model, ()))


@pytest.mark.parametrize("edit", [float_layers, quantize_only])
@pytest.mark.parametrize("name", LAYERS)
def test_the_results_are_pivots_for_every_reader(edit: object, name: str, tmp_path: Path) -> None:
    assert callable(edit)
    model = edit(quantized_pivot("int8"), [name], originals_of(quantized_pivot("int8"), float_pivot()))
    path = tmp_path / "mixed.onnx"
    path.write_bytes(serialize(model))
    load_pivot(path)
    check_tensorrt(model, path)
    openvino.Core().read_model(model.SerializeToString())


@pytest.mark.parametrize("target_name", ["x86-cpu", "intel-cpu"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_runtime_computes_a_floated_layer_in_float(target_name: str, name: str, tmp_path: Path) -> None:
    target = load_target(target_name)
    backend = load(target.backend)
    if backend.missing() or backend.cannot_run(target):
        pytest.skip(f"{target_name} does not run here")
    (tmp_path / "build").mkdir()
    path = tmp_path / "mixed.onnx"
    path.write_bytes(serialize(float_layers(quantized_pivot(), [name], _originals())))
    compiled = backend.compile(path, target, "int8", tmp_path / "build")
    with backend.open(tmp_path / "build", compiled, target, threads=1) as engine:
        in_float = engine.placement().not_integer()
    # on ONNX Runtime the convolution before follows
    assert 1 <= len(in_float) <= 2


def test_probes_compare_each_layer_with_itself_on_the_same_float_input() -> None:
    probed, names = with_probes(quantized_pivot(), _originals())
    assert tuple(names) == LAYERS
    for layer in layers(quantized_pivot()):
        plain, rounded = run(probed, IMAGES, names[layer.name])
        alone = expose(quantize_only(quantized_pivot(), [layer.name], _originals()), [layer.rounded])
        np.testing.assert_allclose(rounded, run(alone, IMAGES, [layer.rounded])[0], rtol=1e-5, atol=1e-5)
        expected = run(expose(float_pivot(), [layer.output]), IMAGES, [layer.output])[0]
        np.testing.assert_allclose(plain, expected, rtol=1e-5, atol=1e-5)
        assert 0 < np.abs(plain - rounded).max() < 0.1 * np.abs(plain).max()


def test_the_runtime_rounds_every_layer_as_the_reference_evaluator_does() -> None:
    """Per-layer parity of a Q/DQ model: one step of each layer's own rounding apart at most."""
    model = pivot("u8s8")
    names = [layer.output for layer in layers(model)]
    exposed = expose(model, names)
    batch = pivot_images(2)
    ours = run(exposed, batch, names)
    theirs = ReferenceEvaluator(exposed).run(names, {"image": batch})
    for name, one, other in zip(names, ours, theirs, strict=True):
        assert np.abs(one - np.asarray(other)).max() <= 0.01 * np.abs(one).max(), name


def test_a_name_that_is_no_layer_is_refused_with_those_that_are() -> None:
    for edit in (float_layers, quantize_only):
        with pytest.raises(BackendError, match="`nothing` is not a quantized layer of this model; its layers are stem"):
            edit(quantized_pivot(), ["nothing"])


def test_another_network_is_refused_as_the_float_model() -> None:
    with pytest.raises(BackendError, match="not the network of the Q/DQ model"):
        originals_of(quantized_pivot(), pivot("float32"))


def test_an_edited_network_that_is_not_valid_is_one_clear_line() -> None:
    model = onnx.ModelProto()
    model.CopyFrom(quantized_pivot())
    next(node for node in model.graph.node if node.op_type == "Transpose").op_type = "NoSuchOperator"
    with pytest.raises(BackendError, match=r"a mixed variant of the network is not valid ONNX: .*NoSuchOperator"):
        float_layers(model, LAYERS[:1], _originals())
