"""What TensorRT's parser would refuse is refused here, by node name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from backend_pivots import CLASSES, SIZE, Flavour, pivot
from onnx import helper, numpy_helper

from edgetl.backends.onnx_rules import check_precision, check_tensorrt, load_pivot
from edgetl.errors import BackendError
from edgetl.types import Port, Signature

PATH = Path("pivot.onnx")


def changed(flavour: Flavour = "s8s8") -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(pivot(flavour))
    return model


def put(model: onnx.ModelProto, name: str, value: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    next(t for t in model.graph.initializer if t.name == name).CopyFrom(numpy_helper.from_array(value, name))


def test_facts_are_the_pivots(tmp_path: Path) -> None:
    onnx.save_model(pivot("u8s8"), tmp_path / "p.onnx")
    _, facts = load_pivot(tmp_path / "p.onnx")
    assert facts.signature == Signature(
        (Port("image", "uint8", (None, SIZE, SIZE, 3)),), (Port("logits", "float32", (None, CLASSES)),)
    )
    assert (facts.opset, facts.quantized) == (21, True)
    with pytest.raises(BackendError, match="float32 build takes a pivot without"):
        check_precision(facts, "float32", PATH)


@pytest.mark.parametrize("flavour", ["float32", "s8s8"])
def test_symmetric_int8_and_float_pass(flavour: Flavour) -> None:
    check_tensorrt(pivot(flavour), PATH)


def test_unsigned_activations_are_refused() -> None:
    with pytest.raises(BackendError, match=r"`node_x.q` .*only to int8; found uint8"):
        check_tensorrt(pivot("u8s8"), PATH)


def test_a_zero_point_other_than_zero_is_refused() -> None:
    model = changed()
    put(model, "r1.zero", np.array(3, np.int8))
    with pytest.raises(BackendError, match=r"`node_r1.q` .*only zero point 0"):
        check_tensorrt(model, PATH)


def test_an_int32_bias_through_dequantize_is_refused() -> None:
    model = changed()
    conv = next(node for node in model.graph.node if node.name == "node_c2")
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.zeros(16, np.int32), "bias.q"),
            numpy_helper.from_array(np.ones(16, np.float32), "bias.scale"),
        ]
    )
    node = helper.make_node("DequantizeLinear", ["bias.q", "bias.scale"], ["bias.dq"], "bias_dq", axis=0)
    model.graph.node.insert(list(model.graph.node).index(conv), node)
    conv.input[2] = "bias.dq"
    with pytest.raises(BackendError, match=r"`bias_dq` .*found int32"):
        check_tensorrt(model, PATH)


def test_several_scales_for_one_activation_are_refused() -> None:
    model = changed()
    put(model, "r1.scale", np.full(16, 0.1, np.float32))
    with pytest.raises(BackendError, match=r"`node_r1.q` .*one scale per activation tensor; found \[16\]"):
        check_tensorrt(model, PATH)


def test_bytes_that_do_not_go_into_a_cast_first_are_refused() -> None:
    model = changed("float32")
    cast, transpose = model.graph.node[0], model.graph.node[1]
    transpose.input[0], transpose.output[0] = "image", "moved"
    cast.input[0], cast.output[0] = "moved", "image_planes"
    with pytest.raises(BackendError, match=r"`node_image_planes` .*only into a Cast"):
        check_tensorrt(model, PATH)


def test_int8_by_attribute_instead_of_a_zero_point_passes() -> None:
    model = changed()
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            del node.input[2]
            node.attribute.append(helper.make_attribute("output_dtype", onnx.TensorProto.INT8))
        elif node.op_type == "DequantizeLinear":
            del node.input[2]
    onnx.checker.check_model(model)
    check_tensorrt(model, PATH)


def test_an_opset_that_is_too_old_is_refused(tmp_path: Path) -> None:
    model = changed("float32")
    model.opset_import[0].version = 12
    onnx.save_model(model, tmp_path / "p.onnx")
    with pytest.raises(BackendError, match="expected opset 13 to 23; found 12"):
        load_pivot(tmp_path / "p.onnx")
