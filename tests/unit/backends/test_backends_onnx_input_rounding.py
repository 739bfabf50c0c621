"""The input's rounding is spelled out for OpenVINO without changing the function."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgetl.backends.onnx_for_openvino import spell_out_rounding


def network(*, direct: bool) -> onnx.ModelProto:
    """image -> Transpose -> (DequantizeLinear, or a Cast) -> mean per channel."""
    middle = (
        helper.make_node("DequantizeLinear", ["planes", "s", "z"], ["d"])
        if direct
        else helper.make_node("Cast", ["planes"], ["d"], to=TensorProto.FLOAT)
    )
    graph = helper.make_graph(
        [
            helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
            middle,
            helper.make_node("ReduceMean", ["d", "axes"], ["logits"], keepdims=0),
        ],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 4, 6, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [
            numpy_helper.from_array(np.array(1 / 127.5, np.float32), "s"),
            numpy_helper.from_array(np.array(128, np.uint8), "z"),
            numpy_helper.from_array(np.array([2, 3], np.int64), "axes"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize("direct", [True, False])
def test_every_byte_gives_the_value_it_gave_before(direct: bool) -> None:
    images = np.arange(256, dtype=np.uint8).repeat(72)[: 4 * 6 * 3 * 256].reshape(-1, 4, 6, 3)
    model = network(direct=direct)
    (expected,) = ReferenceEvaluator(model).run(None, {"image": images})
    assert spell_out_rounding(model) is direct
    onnx.checker.check_model(model)
    (found,) = ReferenceEvaluator(model).run(None, {"image": images})
    np.testing.assert_array_equal(found, expected)
    assert ("QuantizeLinear" in [node.op_type for node in model.graph.node]) is direct
