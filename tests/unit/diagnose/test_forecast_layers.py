"""Layers are read from a fused graph and compute what ONNX Runtime computes; depthwise ones are left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from saturating_models import DEPTHWISE, LAYERS, convolution, linear

from edgetl.diagnose.forecast.layers import layers_of

CPU = Path("/proc/cpuinfo")


@pytest.mark.parametrize("name", LAYERS)
def test_exact_sums_give_the_answer_of_onnx_runtime_to_the_bit(name: str) -> None:
    if name == "QLinearMatMul" and "vnni" not in CPU.read_text(encoding="utf-8"):
        pytest.skip("this CPU has no VNNI, and onnxruntime's exact mode leaves QLinearMatMul as it is")
    model, data = LAYERS[name]
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")  # exact on a CPU without VNNI as well
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (expected,) = session.run(["y"], {"x": data})
    (layer,), unknown = layers_of(model)
    assert not unknown
    sums = layer.sums(data)
    assert sums.saturated > 0, "the case is meant to saturate"
    np.testing.assert_array_equal(layer.answer(sums.exact, data.shape), expected)


@pytest.mark.parametrize("name", DEPTHWISE)
def test_a_depthwise_convolution_is_no_candidate(name: str) -> None:
    assert layers_of(DEPTHWISE[name][0]) == ((), ())


def test_signed_activations_are_no_candidates() -> None:
    model, _ = convolution(4, 8, 1)
    model.graph.input[0].type.tensor_type.elem_type = 3  # int8
    assert layers_of(model) == ((), ())


def test_a_layer_of_another_form_is_named() -> None:
    model, _ = convolution(4, 8, 1)
    model.graph.node[0].attribute.append(helper.make_attribute("auto_pad", "SAME_UPPER"))
    assert layers_of(model) == ((), ("convolution",))
    model, _ = linear(6, 4)
    zeros = next(tensor for tensor in model.graph.initializer if tensor.name == "w_zero")
    zeros.CopyFrom(numpy_helper.from_array(np.ones(4, np.int8), "w_zero"))
    assert layers_of(model) == ((), ("linear",))
