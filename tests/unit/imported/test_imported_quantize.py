"""INT8 of an imported network: where pairs are, that rounding costs little, and that biases are corrected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx_networks import body
from tiny_network import LAYERS, PREPROCESSING, pictures

from edgetl.backends.onnx_placement import operators
from edgetl.fronts.image.normalize import normalize
from edgetl.imported.bias import correct_biases
from edgetl.imported.normal_form import to_normal_form
from edgetl.imported.original import Original
from edgetl.imported.pairs import with_pairs
from edgetl.imported.place import Placement, place, results_of_silu
from edgetl.imported.ranges import Parameters, observe
from edgetl.imported.read import open_network
from edgetl.imported.weights import largest_pairs, round_weights
from edgetl.imported.wide import too_wide
from edgetl.pivot.check import check_scheme
from edgetl.pivot.literal import open_literal
from edgetl.quant import fakequant
from edgetl.recipes.network import USUAL, Network
from edgetl.recipes.targets import load_profile, load_target
from edgetl.types import Scheme

Images = NDArray[np.float32]
SCHEMES = {name: load_target(name, (), "image").scheme for name in ("x86-cpu", "x86-avx2", "nvidia-gpu")}


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    path = tmp_path_factory.mktemp("network") / "network.onnx"
    onnx.save_model(body(), path)
    return to_normal_form(open_network(path, Network(file=path.name)), USUAL["imagenet"]).model


def images(count: int = 64, seed: int = 2) -> Images:
    return normalize(pictures(count, seed)[0], PREPROCESSING)


def rounded(
    exact: onnx.ModelProto, scheme: Scheme, *, percentile: bool = False
) -> tuple[Placement, dict[str, Parameters], onnx.ModelProto]:
    placement = place(exact, scheme)
    profile = load_profile("percentile" if percentile else "default", ())
    parameters = observe(exact, placement, [images()], scheme, profile, PREPROCESSING)
    return placement, parameters, with_pairs(exact, placement, parameters, scheme)


def scores(model: onnx.ModelProto, given: Images) -> NDArray[np.float32]:
    (found,) = open_literal(model.SerializeToString()).run(None, {"input": given})
    return np.asarray(found)


@pytest.mark.parametrize("name", SCHEMES)
def test_every_layer_computes_in_int8_as_its_scheme_says(exact: onnx.ModelProto, name: str) -> None:
    placement, _, model = rounded(exact, SCHEMES[name])
    check_scheme(model, SCHEMES[name])
    assert placement.counts["conv"] == 3
    assert placement.counts["linear"] == placement.counts["add"] == placement.counts["mean"] == 1
    found = {each.name: each.precision for each in operators(model, "cpu", as_requested=True)}
    assert {found[layer] for layer in LAYERS} == {SCHEMES[name].activation_dtype}


@pytest.mark.parametrize("name", SCHEMES)
def test_rounding_keeps_the_predictions(exact: onnx.ModelProto, name: str) -> None:
    _, _, model = rounded(exact, SCHEMES[name])
    given = images(200, seed=9)
    before, after = scores(exact, given), scores(model, given)
    assert np.mean(before.argmax(1) == after.argmax(1)) > 0.95
    assert np.abs(before - after).max() < 0.15 * np.abs(before).max()


def test_a_pair_is_after_the_activation_and_none_at_the_end(exact: onnx.ModelProto) -> None:
    placement, _, model = rounded(exact, SCHEMES["x86-cpu"])
    made_by = {name: node for node in exact.graph.node for name in node.output}
    kinds = sorted(made_by[name].op_type for name in placement.readers if name in made_by)
    assert kinds.count("Relu") == 3
    assert "logits" not in placement.readers
    assert model.graph.node[-1].op_type in ("Gemm", "MatMul", "Add")


def test_bias_correction_moves_the_mean_of_every_layer_back(exact: onnx.ModelProto) -> None:
    placement, _, model = rounded(exact, SCHEMES["x86-avx2"], percentile=True)
    given = images(32)
    before = np.abs((scores(exact, given) - scores(model, given)).mean(0)).max()
    done = correct_biases(model, exact, placement, given)
    assert [each.layer for each in done] == list(LAYERS)
    assert all(each.after <= each.before + 1e-6 for each in done)
    assert np.abs((scores(exact, given) - scores(model, given)).mean(0)).max() < max(0.5 * before, 1e-4)
    check_scheme(model, SCHEMES["x86-avx2"])


@pytest.mark.parametrize("shape", [(8, 3, 3, 3), (6, 4, 1, 1), (5, 16), (4, 7)])
@pytest.mark.parametrize("in_pairs", [False, True])
def test_weights_are_rounded_as_those_of_networks_trained_here(shape: tuple[int, ...], in_pairs: bool) -> None:
    weights = np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)
    scheme = SCHEMES["x86-avx2" if in_pairs else "x86-cpu"]
    assert scheme.weight_pairs_in_int16 == in_pairs
    mine = round_weights(weights, 0, scheme, depthwise=False, bias=None, input_scale=0.1)
    kind = fakequant.PairedPerChannelWeightQuantizer if in_pairs else fakequant.PerChannelWeightQuantizer
    other = kind(dtype=torch.int8, quant_min=-127, quant_max=127, qscheme=torch.per_channel_symmetric, ch_axis=0)
    other.freeze()
    np.testing.assert_allclose(mine.floats(), other(torch.from_numpy(weights)).numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        largest_pairs(weights), fakequant.largest_pairs(torch.from_numpy(weights)).numpy(), rtol=1e-6
    )


def test_a_bias_that_int32_could_not_hold_widens_the_scale() -> None:
    weights = np.full((2, 4), 1e-7, np.float32)
    bias = np.array([0.0, 5.0], np.float32)
    found = round_weights(weights, 0, SCHEMES["x86-cpu"], depthwise=False, bias=bias, input_scale=0.01)
    assert np.all(np.abs(bias) / (0.01 * found.scales) < 2**30)


def _with_silu(exact: onnx.ModelProto) -> onnx.ModelProto:
    """The first activation as x * sigmoid(x)."""
    model = onnx.ModelProto()
    model.CopyFrom(exact)
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    place_of = list(model.graph.node).index(relu)
    nodes = [
        helper.make_node("Sigmoid", [relu.input[0]], ["gate"], "gate"),
        helper.make_node("Mul", [relu.input[0], "gate"], [relu.output[0]], "silu"),
    ]
    model.graph.node.remove(relu)
    for node in reversed(nodes):
        model.graph.node.insert(place_of, node)
    return model


def test_a_smooth_activation_stays_float_between_two_pairs(exact: onnx.ModelProto) -> None:
    model = _with_silu(exact)
    placement = place(model, SCHEMES["x86-cpu"])
    silu = next(node for node in model.graph.node if node.name == "silu")
    assert "mul" not in placement.counts
    assert placement.readers[silu.input[0]] is None
    assert placement.silus == {silu.input[0]}
    assert silu.output[0] in placement.readers


def test_a_silu_with_one_wide_channel_stays_float_and_so_does_what_reads_it(exact: onnx.ModelProto) -> None:
    model, scheme = _with_silu(exact), SCHEMES["x86-cpu"]
    (product,) = results_of_silu(model, scheme)
    assert too_wide(model, [product], [images()]) == frozenset()
    before = next(node for node in model.graph.node if node.name == "stem")
    after = next(node for node in model.graph.node if product in node.input)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, channel, factor in ((before.input[1], np.s_[0], 400), (after.input[1], np.s_[:, 0], 1 / 400)):
        values = numpy_helper.to_array(constants[name]).copy()
        values[channel] *= np.float32(factor)
        constants[name].CopyFrom(numpy_helper.from_array(values, name))
    wide = too_wide(model, [product], [images()])
    assert wide == {product}
    all_rounded, kept = place(model, scheme), place(model, scheme, wide)
    assert set(all_rounded.layers) - set(kept.layers) == {after.output[0]}
    assert set(all_rounded.readers) - set(kept.readers) == {product, before.output[0]}


def test_every_layer_gets_a_bias_of_its_own(tmp_path: Path) -> None:
    """Of two convolutions with one bias tensor, and one with none, all are corrected."""
    model = body()
    layers = [node for node in model.graph.node if node.op_type == "Conv"]
    layers[2].input[2] = layers[1].input[2]
    del layers[0].input[2:]
    onnx.save_model(model, tmp_path / "network.onnx")
    opened = open_network(tmp_path / "network.onnx", Network(file="network.onnx"))
    found = to_normal_form(opened, USUAL["imagenet"]).model
    expected = Original(opened).scores(pictures(64, 2)[0], USUAL["imagenet"])
    np.testing.assert_allclose(scores(found, images()), expected, rtol=1e-3, atol=1e-4)
    placement, _, quantized = rounded(found, SCHEMES["x86-avx2"], percentile=True)
    assert [each.layer for each in correct_biases(quantized, found, placement, images(32))] == list(LAYERS)


def _with_concat(exact: onnx.ModelProto) -> onnx.ModelProto:
    """The mean of a concatenation of the last values with their maxima, cut back to the first half."""
    model = onnx.ModelProto()
    model.CopyFrom(exact)
    mean = next(node for node in model.graph.node if node.op_type == "ReduceMean")
    source = mean.input[0]
    pooled: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [1, 1]}
    nodes = [
        helper.make_node("MaxPool", [source], ["most"], "most", **pooled),
        helper.make_node("Concat", [source, "most"], ["both"], "both", axis=1),
        helper.make_node("Slice", ["both", "first", "last", "along"], ["half"], "half"),
    ]
    for name, value in (("first", 0), ("last", 12), ("along", 1)):
        model.graph.initializer.append(numpy_helper.from_array(np.array([value], np.int64), name))
    at = list(model.graph.node).index(mean)
    for node in reversed(nodes):
        model.graph.node.insert(at, node)
    mean.input[0] = "half"
    return model


def test_values_that_are_only_moved_share_one_scale(exact: onnx.ModelProto) -> None:
    model = _with_concat(exact)
    placement, parameters, quantized = rounded(model, SCHEMES["x86-cpu"])
    joined = {name for name in ("most", "both", "half") if name in placement.readers}
    assert joined == {"most", "both", "half"}
    assert len({parameters[name] for name in joined}) == 1
    assert np.mean(scores(model, images()).argmax(1) == scores(quantized, images()).argmax(1)) > 0.95
