from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgetl.pivot.serialize import clean, serialize


def _quantized_pooling(*, zero_points: bool) -> onnx.ModelProto:
    """x -> Q -> DQ -> MaxPool -> Q -> DQ in int8, the way the exporter writes a zero point of 0: as `output_dtype`."""
    constants = [numpy_helper.from_array(np.asarray(np.float32(0.1)), "scale")]
    if zero_points:
        constants.append(numpy_helper.from_array(np.asarray(np.int8(0)), "zero"))
    extra = ["zero"] if zero_points else []
    attributes: dict[str, Any] = {} if zero_points else {"output_dtype": TensorProto.INT8}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", *extra], ["q"], "first", **attributes),
        helper.make_node("DequantizeLinear", ["q", "scale", *extra], ["d"]),
        helper.make_node("MaxPool", ["d"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("QuantizeLinear", ["p", "scale", *extra], ["q2"], **attributes),
        helper.make_node("DequantizeLinear", ["q2", "scale", *extra], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "secret_name",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1, 2, 2])],
        constants,
        doc_string="graph doc",
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    model.doc_string = "model doc"
    helper.set_model_props(model, {"path": "/home/somebody"})
    graph.node[0].doc_string = "node doc"
    entry = model.graph.node[0].metadata_props.add()
    entry.key, entry.value = "stack_trace", "File /home/somebody/x.py"
    return model


def test_metadata_doc_strings_and_names_of_the_exporter_are_gone() -> None:
    model = clean(_quantized_pooling(zero_points=True))
    text = str(model)
    assert "somebody" not in text
    assert "doc" not in text
    assert "secret_name" not in text
    assert model.producer_name == "edgetl"


def test_the_given_model_is_left_as_it_was() -> None:
    model = _quantized_pooling(zero_points=False)
    before = model.SerializeToString(deterministic=True)
    clean(model)
    assert model.SerializeToString(deterministic=True) == before


def test_every_quantized_tensor_gets_an_explicit_zero_point_of_its_type() -> None:
    model = clean(_quantized_pooling(zero_points=False))
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert types[node.input[2]] == TensorProto.INT8
            assert not [a for a in node.attribute if a.name == "output_dtype"]


@pytest.mark.parametrize("zero_points", [True, False])
def test_int8_pooling_runs_in_onnxruntime(zero_points: bool) -> None:
    session = onnxruntime.InferenceSession(serialize(clean(_quantized_pooling(zero_points=zero_points))))
    x = np.arange(-8, 8, dtype=np.float32).reshape(1, 1, 4, 4)
    y = session.run(None, {"x": x})[0]
    np.testing.assert_allclose(y, [[[[-3, -1], [5, 7]]]], atol=1e-6)


def test_equal_models_give_equal_bytes() -> None:
    assert serialize(clean(_quantized_pooling(zero_points=False))) == serialize(
        clean(_quantized_pooling(zero_points=False))
    )
