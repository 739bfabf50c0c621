"""Every backend takes networks with several inputs and outputs of other shapes than an image's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from contract_cases import any_machine
from onnx import TensorProto, helper

from edgetl.backends.base import BACKENDS, about, load
from edgetl.errors import BackendError
from edgetl.types import FinishingBackend


def two_by_two() -> onnx.ModelProto:
    """sums (N, 4) = first (N, 4) + second (N, 4); products (N, 2, 2) = first * second."""
    first = helper.make_tensor_value_info("first", TensorProto.FLOAT, ["batch", 4])
    second = helper.make_tensor_value_info("second", TensorProto.FLOAT, ["batch", 4])
    sums = helper.make_tensor_value_info("sums", TensorProto.FLOAT, ["batch", 4])
    products = helper.make_tensor_value_info("products", TensorProto.FLOAT, ["batch", 2, 2])
    shape = helper.make_tensor("shape", TensorProto.INT64, [3], [-1, 2, 2])
    nodes = [
        helper.make_node("Add", ["first", "second"], ["sums"]),
        helper.make_node("Mul", ["first", "second"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["products"]),
    ]
    graph = helper.make_graph(nodes, "two", [first, second], [sums, products], [shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    return model


@pytest.mark.parametrize("name", BACKENDS)
def test_two_inputs_give_two_outputs_by_name(name: str, tmp_path: Path) -> None:
    backend, target = load(name), any_machine(name)
    for obstacle in (backend.missing(), backend.cannot_run(target, "float32")):
        if obstacle:
            pytest.skip(f"{name}: {obstacle.reason}; {obstacle.remedy}")
    onnx.save_model(two_by_two(), tmp_path / "pivot.onnx")
    out = tmp_path / "out"
    out.mkdir()
    compiled = backend.compile(tmp_path / "pivot.onnx", target, "float32", out)
    if isinstance(backend, FinishingBackend) and not compiled.finished:
        compiled = backend.finish(out, compiled, target)
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=(3, 4)).astype(np.float32) for _ in range(2))
    with backend.open(out, compiled, target, threads=1) as engine:
        found = engine.infer({"second": second, "first": first})
        with pytest.raises(BackendError, match=r"`first`, float32.*and `second`.*found batches of 3, 2"):
            engine.infer({"first": first, "second": second[:2]})
    assert {key: values.shape for key, values in found.items()} == {"sums": (3, 4), "products": (3, 2, 2)}
    if about(name).gives_zeros:
        assert not found["sums"].any()
        return
    sums, products = (np.asarray(found[key], np.float32) for key in ("sums", "products"))
    assert np.allclose(sums, first + second, rtol=1e-6)
    assert np.allclose(products.reshape(3, 4), first * second, rtol=1e-6)
