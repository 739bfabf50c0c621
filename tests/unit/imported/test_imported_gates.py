"""Hard swish, spelled out in the ways that networks do, is one gate and one product, with the same values."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest

from edgetl.imported.gates import join_gates

HEAD = """<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N, 3] x) => (float[N, 3] y)
<float three = {3.0}, float six = {6.0}, float sixth = {0.16666667}, float none = {0.0}, float half = {0.5}> {"""
SPELLED = {
    "gate, then product": "a = Add(x, three) b = Clip(a, none, six) c = Mul(b, sixth) y = Mul(x, c)",
    "number first": "a = Add(three, x) b = Clip(a, none, six) c = Mul(sixth, b) y = Mul(c, x)",
    "product, then number": "a = Add(x, three) b = Clip(a, none, six) c = Mul(x, b) y = Div(c, six)",
}
OTHERS = {
    "another slope": "a = Add(x, three) b = Clip(a, none, six) c = Mul(b, half) y = Mul(x, c)",
    "six over the gate": "a = Add(x, three) b = Clip(a, none, six) c = Div(six, b) y = Mul(x, c)",
    "the sum is read again": "a = Add(x, three) b = Clip(a, none, six) c = Mul(b, sixth) y = Mul(a, c)",
}


def values(model: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.linspace(-6, 6, 300, dtype=np.float32).reshape(-1, 3)})
    return np.asarray(found)


@pytest.mark.parametrize("nodes", SPELLED.values(), ids=SPELLED)
def test_a_gate_is_one_operator_with_the_same_values(nodes: str) -> None:
    model = onnx.parser.parse_model(f"{HEAD} {nodes} }}")
    before = values(model)
    join_gates(model.graph)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["HardSigmoid", "Mul"]
    np.testing.assert_allclose(values(model), before, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("nodes", OTHERS.values(), ids=OTHERS)
def test_what_is_another_function_stays(nodes: str) -> None:
    model = onnx.parser.parse_model(f"{HEAD} {nodes} }}")
    before = [node.op_type for node in model.graph.node]
    join_gates(model.graph)
    assert [node.op_type for node in model.graph.node] == before
