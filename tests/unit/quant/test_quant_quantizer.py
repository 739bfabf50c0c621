"""What the quantizer promises, read from the exported ONNX graphs of small networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Literal

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from calibrating import calibrate
from onnx import numpy_helper
from torch import nn

from edgetl.diagnose.forecast.fused import fuse
from edgetl.diagnose.forecast.layers import layers_of
from edgetl.errors import BackendError
from edgetl.pivot.check import check_scheme
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.serialize import serialize
from edgetl.quant.prepare import convert, prepare
from edgetl.types import CalibrationProfile, ImagePreprocessing, Scheme

pytestmark = pytest.mark.stage  # whole networks are captured

U8 = Scheme("uint8", activation_symmetric=False)
S8 = Scheme("int8", activation_symmetric=True)
PROFILE = CalibrationProfile("default", "", 8, "min-max")
P = ImagePreprocessing(16, 16, "squash", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Residual(nn.Module):
    """conv, relu6 - residual add, relu - pool - linear."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.relu6(self.a(x))
        x = nn.functional.relu(self.b(x) + x)
        y: torch.Tensor = self.head(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))
        return y


class Fire(nn.Module):
    """max pooling, two branches, concatenation: SqueezeNet's pattern."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1)
        self.three, self.head = nn.Conv2d(8, 4, 3, padding=1), nn.Conv2d(8, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(torch.relu(self.stem(x)), 2)
        x = torch.cat([torch.relu(self.one(x)), torch.relu(self.three(x))], 1)
        return torch.relu(self.head(x)).mean((2, 3))


class Gated(nn.Module):
    """An activation that nothing computes in integers between two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.b(nn.functional.silu(self.a(x)))
        return y.mean((2, 3))


class Separable(nn.Module):
    """A full convolution, a depthwise and a pointwise one, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depthwise = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise, self.head = nn.Conv2d(8, 6, 1), nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.depthwise(torch.relu(self.stem(x))))
        y: torch.Tensor = self.head(torch.relu(self.pointwise(x)).mean((2, 3)))
        return y


class Normed(nn.Module):
    """A transformer's residual stream: two branches are added, and only norms and the next addition read the sums."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one, self.two = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 8), nn.Linear(8, 8)
        self.norms, self.head = nn.ModuleList(nn.LayerNorm(8) for _ in range(3)), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)
        x = x + self.one(self.norms[0](x))
        x = x + self.two(self.norms[1](x))
        y: torch.Tensor = self.head(self.norms[2](torch.cat([x, x[:, :2]], 1))[:, 0])
        return y


@lru_cache
def _quantized(kind: Callable[[], nn.Module], scheme: Scheme) -> tuple[onnx.ModelProto, nn.Module]:
    torch.manual_seed(0)
    network = kind()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    prepared = prepare(network.eval(), P, scheme, PROFILE)
    images: Iterator[torch.Tensor] = iter([torch.randn(4, 3, 16, 16)])
    calibrate(prepared, images, P)
    converted = convert(prepared, P)
    return to_onnx(converted, (3, 16, 16)), converted


def _optimized(model: onnx.ModelProto, tmp_path: object) -> Counter[str]:
    path = f"{tmp_path}/optimized.onnx"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = path
    onnxruntime.InferenceSession(serialize(model), options)
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def _scales(model: onnx.ModelProto, kind: str) -> list[float]:
    """Scales of the QuantizeLinear nodes whose input is made by an operator of `kind`."""
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    return [
        float(constants[node.input[1]])
        for node in model.graph.node
        if node.op_type == "QuantizeLinear" and made_by.get(node.input[0], "input") == kind
    ]


@pytest.mark.parametrize(("network", "scheme"), [(Residual, U8), (Fire, U8), (Gated, U8), (Residual, S8)])
def test_the_onnx_graph_is_the_converted_torch_network_for_every_batch_size(
    network: Callable[[], nn.Module], scheme: Scheme
) -> None:
    model, converted = _quantized(network, scheme)
    check_scheme(model, scheme)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(serialize(model), options)
    for batch in (1, 3):
        x = torch.randn(batch, 3, 16, 16)
        found = session.run(None, {"input": x.numpy()})[0]
        expected = converted(x).detach().numpy()
        assert found.shape == (batch, 4)
        np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


def test_a_residual_network_runs_in_onnxruntimes_integer_kernels(tmp_path: object) -> None:
    model, _ = _quantized(Residual, U8)
    operators = _optimized(model, tmp_path)
    assert operators["QLinearConv"] == 2
    assert operators["QLinearAdd"] == 1
    assert operators["QGemm"] == 1
    assert not operators["Conv"] + operators["Gemm"] + operators["Clip"] + operators["Relu"]


def test_concatenation_and_max_pooling_carry_integers(tmp_path: object) -> None:
    model, _ = _quantized(Fire, U8)
    operators = _optimized(model, tmp_path)
    assert operators["QLinearConv"] == 4
    assert not operators["Conv"] + operators["Relu"]
    assert operators["QuantizeLinear"] == 1  # only the network's input


def test_concatenation_has_one_scale_on_all_sides() -> None:
    model, _ = _quantized(Fire, U8)
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    by_output = {name: node for node in model.graph.node for name in node.output}
    concat = next(node for node in model.graph.node if node.op_type == "Concat")
    inputs = {float(constants[by_output[name].input[1]]) for name in concat.input}
    assert inputs == set(_scales(model, "Concat"))
    assert len(inputs) == 1


def test_max_pooling_keeps_the_scale_of_its_input() -> None:
    model, _ = _quantized(Fire, U8)
    assert _scales(model, "MaxPool")
    assert set(_scales(model, "MaxPool")) <= set(_scales(model, "Relu"))


@pytest.mark.parametrize("scheme", [U8, S8])
def test_sums_and_concatenations_that_only_norms_read_are_not_rounded(scheme: Scheme) -> None:
    model, _ = _quantized(Normed, scheme)
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    joins = [node for node in model.graph.node if node.op_type in ("Add", "Concat")]
    sums = [node for node in joins if node.op_type == "Add" and all(name in made_by for name in node.input)]
    (concatenation,) = [node for node in joins if node.op_type == "Concat" and "Add" in map(made_by.get, node.input)]
    assert len(sums) == 2
    for node in (
        sums[1],
        concatenation,
    ):  # the first sum reads the convolution's result, which is rounded for its kernel
        assert "DequantizeLinear" not in [made_by[name] for name in node.input]
    rounded = [made_by.get(node.input[0], "") for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert "Add" not in rounded
    assert rounded.count("LayerNormalization") == 2


def test_a_convolution_before_a_float_activation_still_runs_in_integers(tmp_path: object) -> None:
    model, _ = _quantized(Gated, U8)
    assert _optimized(model, tmp_path)["QLinearConv"] == 2


def test_the_input_is_quantized_once_and_the_logits_are_float() -> None:
    model, _ = _quantized(Residual, U8)
    assert len(_scales(model, "input")) == 1
    assert [n.op_type for n in model.graph.node if "logits" in n.output] == ["Add"]  # the float bias


def test_biases_stay_float() -> None:
    model, _ = _quantized(Residual, S8)
    constants = {t.name: t.data_type for t in model.graph.initializer}
    biases = [constants[n.input[2]] for n in model.graph.node if n.op_type == "Conv"]
    assert biases == [onnx.TensorProto.FLOAT] * 2


def test_operators_outside_the_scheme_stay_float() -> None:
    scheme = Scheme("uint8", activation_symmetric=False, operators=("linear",))
    model, _ = _quantized(Residual, scheme)
    check_scheme(model, scheme)
    by_output = {name: node.op_type for node in model.graph.node for name in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert all(by_output.get(node.input[0]) != "DequantizeLinear" for node in convolutions)


@pytest.mark.parametrize("granularity", ["channel", "tensor"])
@pytest.mark.parametrize("network", [Residual, Fire, Separable])
def test_no_pair_of_products_saturates_where_the_scheme_wants_that(
    network: Callable[[], nn.Module], granularity: Literal["channel", "tensor"]
) -> None:
    scheme = replace(U8, weight_pairs_in_int16=True, weight_granularity=granularity)
    model, _ = _quantized(network, scheme)
    check_scheme(model, scheme)
    layers, unknown = layers_of(fuse(model))
    assert layers
    assert not unknown
    assert not [layer.name for layer in layers if layer.can_saturate]


def test_depthwise_convolutions_keep_the_full_range_and_others_do_not() -> None:
    model, _ = _quantized(Separable, replace(U8, weight_pairs_in_int16=True))
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer if len(t.dims) == 4}
    largest = {array.shape[1]: np.abs(array.astype(int)).max(axis=(1, 2, 3)) for array in stored.values()}
    assert (largest[1] == 127).all(), "depthwise"
    assert (largest[3] < 127).any(), "the first convolution"


def test_the_checker_finds_a_pair_that_can_saturate() -> None:
    model, _ = _quantized(Separable, U8)
    with pytest.raises(BackendError, match=r"expected pairs of weights that sum to at most 128, found \d+"):
        check_scheme(model, replace(U8, weight_pairs_in_int16=True))


def test_one_scale_per_tensor_when_the_scheme_says_so() -> None:
    model, _ = _quantized(Residual, Scheme("uint8", activation_symmetric=False, weight_granularity="tensor"))
    constants = {t.name: t for t in model.graph.initializer}
    weights = [n for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in constants]
    assert len(weights) == 3
    assert all(numpy_helper.to_array(constants[node.input[1]]).size == 1 for node in weights)


def test_a_network_with_nothing_to_quantize_is_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Softmax(1))
    with pytest.raises(BackendError, match="none of its operators"):
        prepare(network, P, U8, PROFILE)


def test_the_checker_names_the_node_that_breaks_the_scheme() -> None:
    model, _ = _quantized(Residual, U8)
    with pytest.raises(BackendError, match=r"node .*Linear\): expected int8 activations, found uint8"):
        check_scheme(model, S8)


def test_the_checker_finds_a_convolution_that_stayed_float() -> None:
    model = to_onnx(Residual().eval(), (3, 16, 16))
    with pytest.raises(BackendError, match=r"\(Conv\): expected inputs and weights from DequantizeLinear"):
        check_scheme(model, U8)
