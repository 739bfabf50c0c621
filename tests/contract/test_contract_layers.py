"""Layer by layer: what a runtime's integer kernels give is what the quantized network in torch gives."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import pytest
import timm
import torch
from calibrating import calibrate
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn
from torch.fx import Interpreter

from edgetl.backends.sdk import import_onnxruntime, import_openvino
from edgetl.pivot.fold import fold
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.mixed import expose, layers
from edgetl.pivot.serialize import DEQUANTIZE, QUANTIZE
from edgetl.quant.prepare import convert, prepare
from edgetl.types import CalibrationProfile, ImagePreprocessing, Scheme

pytestmark = pytest.mark.stage

SCHEME = Scheme("uint8", activation_symmetric=False, weight_pairs_in_int16=True)
"""Sums that fit into int16: without VNNI a CPU saturates others, which is not what is asked here."""
P = ImagePreprocessing(32, 32, "squash", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
Values = dict[str, NDArray[Any]]
STEPS = 2.0
"""Steps of a tensor's own scale that two right computations may be apart: a tie that breaks the other way is one, and
what follows from it one more. Nearly all values are the same."""


def _onnxruntime(model: onnx.ModelProto, names: list[str], images: NDArray[np.float32]) -> Values:
    session = import_onnxruntime().InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(names, {"input": images}), strict=True))


def _openvino(model: onnx.ModelProto, names: list[str], images: NDArray[np.float32]) -> Values:
    core = import_openvino().Core()
    compiled = core.compile_model(
        core.read_model(model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    found = compiled(images)
    return {name: np.asarray(found[name]) for name in names}


RUNTIMES: Mapping[str, Callable[[onnx.ModelProto, list[str], NDArray[np.float32]], Values]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}


@pytest.fixture(scope="module", params=["test_resnet", "test_byobnet"])
def pair(request: pytest.FixtureRequest) -> tuple[nn.Module, onnx.ModelProto, NDArray[np.float32]]:
    """The converted torch network, its Q/DQ model, images."""
    torch.manual_seed(0)
    network = fold(timm.create_model(request.param, num_classes=3).eval(), P.network_shape).module
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(8, 3, 32, 32, generator=generator).clamp(-1, 1)
    profile = CalibrationProfile("all", "", 8, "min-max")
    prepared = prepare(copy.deepcopy(network), P, SCHEME, profile)
    calibrate(prepared, iter([images]), P)
    converted = convert(prepared, P)
    return converted, to_onnx(converted, P.network_shape), images[:2].numpy()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_layer_rounds_to_the_integers_that_torch_rounds_to(
    pair: tuple[nn.Module, onnx.ModelProto, NDArray[np.float32]], runtime: str
) -> None:
    network, model, images = pair
    found = _apart(network, model, images, runtime)
    assert len(found) >= 5, "layers with a rounded result"
    assert max(far for far, _ in found.values()) <= STEPS, found
    assert min(same for _, same in found.values()) >= 0.95, found


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_doubled_scale_shows_at_its_own_layer_first(
    pair: tuple[nn.Module, onnx.ModelProto, NDArray[np.float32]], runtime: str
) -> None:
    network, model, images = pair
    names = list(_rounded(model))
    faulty = names[len(names) // 2]
    found = _apart(network, _with_doubled_scale(model, faulty), images, runtime)
    wrong = [name for name, (far, same) in found.items() if far > STEPS or same < 0.95]
    assert wrong[0] == faulty


def _apart(
    network: nn.Module, model: onnx.ModelProto, images: NDArray[np.float32], runtime: str
) -> dict[str, tuple[float, float]]:
    """Per layer, in graph order: the largest distance in steps, and the share of values that are the same integer."""
    places = _rounded(model)
    values = RUNTIMES[runtime](
        expose(model, [place for place, *_ in places.values()]), [p for p, *_ in places.values()], images
    )
    expected = _torch_values(network, images, set(places))
    found = {}
    for name, (place, scale, zero_point, low, high) in places.items():
        ours = np.clip(np.rint(expected[name] / scale) + zero_point, low, high)
        theirs = values[place] / scale + zero_point
        found[name] = (float(np.abs(ours - theirs).max()), float((np.abs(ours - theirs) < 0.5).mean()))
    return found


def _rounded(model: onnx.ModelProto) -> dict[str, tuple[str, float, int, int, int]]:
    """Per layer whose result is rounded: the dequantized tensor, scale, zero point and range of its integers."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = {}
    for layer in layers(model):
        for quantize in readers.get(layer.output, []):
            if quantize.op_type == QUANTIZE and layer.output not in found:
                (dequantize,) = [node for node in readers[quantize.output[0]] if node.op_type == DEQUANTIZE][:1]
                zero_point = constants[quantize.input[2]]
                kind = np.iinfo(zero_point.dtype)
                scale = float(constants[quantize.input[1]])
                found[layer.output] = (dequantize.output[0], scale, int(zero_point), kind.min, kind.max)
    return found


def _torch_values(network: nn.Module, images: NDArray[np.float32], names: set[str]) -> Values:
    """Results of the operators of a captured graph, by their names, which the exporter keeps."""
    found: Values = {}

    class Keep(Interpreter):
        def run_node(self, n: torch.fx.Node) -> Any:
            result = super().run_node(n)
            if n.name in names:
                found[n.name] = result.detach().numpy()
            return result

    with torch.no_grad():
        Keep(network).run(torch.from_numpy(images))
    return found


def _with_doubled_scale(model: onnx.ModelProto, layer: str) -> onnx.ModelProto:
    """The layer's weights are read back with twice their scale."""
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    made_by = {name: node for node in copied.graph.node for name in node.output}
    node = made_by[layer]
    while node.op_type not in ("Conv", "Gemm", "MatMul"):
        node = made_by[node.input[0]]
    dequantize = made_by[node.input[1]]
    constants = {tensor.name: tensor for tensor in copied.graph.initializer}
    scales = numpy_helper.from_array(2 * numpy_helper.to_array(constants[dequantize.input[1]]), "doubled_scale")
    copied.graph.initializer.append(scales)
    dequantize.input[1] = "doubled_scale"
    return copied
