"""What every backend promises about `compile`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from backend_pivots import CLASSES, pivot
from contract_cases import CASE_IDS, CASES, Case, make_case
from onnx import TensorProto, helper, numpy_helper

from edgetl.backends.base import about, load
from edgetl.errors import BackendError, UsageError
from edgetl.types import Precision

REPRODUCIBLE = ("null", "onnxruntime", "openvino", "tensorrt")


@pytest.fixture(params=CASES, ids=CASE_IDS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    name, precision = request.param
    return make_case(name, precision, tmp_path)


def test_compile_writes_exactly_the_files_it_names(case: Case, tmp_path: Path) -> None:
    compiled = case.compile(tmp_path / "out")
    written = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*")}
    assert written == set(compiled.files)
    assert compiled.model in compiled.files
    assert all((tmp_path / "out" / name).stat().st_size > 0 for name in compiled.files)


def test_compile_describes_what_it_made(case: Case, tmp_path: Path) -> None:
    compiled = case.compile(tmp_path / "out")
    assert compiled.backend == case.backend.name
    assert compiled.precision == case.precision
    assert compiled.backend_version == (case.backend.version() if compiled.finished else "")
    assert all(isinstance(value, str) and value for value in compiled.facts.values())


def test_the_table_says_whose_models_are_onnx_files(case: Case, tmp_path: Path) -> None:
    compiled = case.compile(tmp_path / "out")
    row = about(case.backend.name)
    if row.runs_onnx:
        onnx.checker.check_model(onnx.load_model(tmp_path / "out" / compiled.model))
    if row.parses_onnx:
        assert any(name.endswith(".onnx") for name in compiled.files)


def test_compiling_again_gives_the_same_bytes(case: Case, tmp_path: Path) -> None:
    if case.backend.name not in REPRODUCIBLE:
        pytest.skip(f"{case.backend.name} does not promise equal bytes")
    first, again = case.compile(tmp_path / "first"), case.compile(tmp_path / "again")
    assert first == again
    for name in first.files:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_compile_leaves_the_pivot_as_it_was(case: Case, tmp_path: Path) -> None:
    before = case.pivot.read_bytes()
    case.compile(tmp_path / "out")
    assert case.pivot.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"\x00" * 512, b"no model at all", b"\xff\xd8\xff\xe0" * 99])
def test_garbage_is_refused_in_one_line(case: Case, tmp_path: Path, content: bytes) -> None:
    case.pivot.write_bytes(content)
    refused(case, tmp_path, match=r"pivot\.onnx")


def test_a_truncated_pivot_is_refused_in_one_line(case: Case, tmp_path: Path) -> None:
    whole = case.pivot.read_bytes()
    case.pivot.write_bytes(whole[: len(whole) // 2])
    refused(case, tmp_path, match="truncated")


def test_a_pivot_that_is_not_there_is_refused_in_one_line(case: Case, tmp_path: Path) -> None:
    case.pivot.unlink()
    refused(case, tmp_path, match="cannot read the model")


def test_an_input_of_doubles_is_refused(case: Case, tmp_path: Path) -> None:
    model = copy_of(case)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    save(model, case)
    refused(case, tmp_path, match="uint8.*found double")


def test_a_fixed_batch_is_refused(case: Case, tmp_path: Path) -> None:
    model = copy_of(case)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 4
    save(model, case)
    refused(case, tmp_path, match="dynamic batch; found shape")


def test_an_output_of_integers_is_refused(case: Case, tmp_path: Path) -> None:
    model = copy_of(case)
    name = model.graph.output[0].name
    model.graph.node.append(helper.make_node("Cast", [name], ["rounded"], to=TensorProto.INT32))
    model.graph.output.append(helper.make_tensor_value_info("rounded", TensorProto.INT32, ["batch", CLASSES]))
    save(model, case)
    refused(case, tmp_path, match="`rounded`: expected a float32 output; found int32")


def test_weights_in_another_file_are_refused(case: Case, tmp_path: Path) -> None:
    model = copy_of(case)
    tensor = next(t for t in model.graph.initializer if t.name == "gemm.bias")
    assert numpy_helper.to_array(tensor).shape == (CLASSES,)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")
    save(model, case)
    refused(case, tmp_path, match="a tensor lies in another file")


def test_an_operator_that_is_not_onnx_is_refused(case: Case, tmp_path: Path) -> None:
    model = copy_of(case)
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type, relu.domain = "Mystery", "com.example"
    save(model, case)
    refused(case, tmp_path, match="com.example")


def test_the_wrong_kind_of_pivot_for_the_precision_is_refused(case: Case, tmp_path: Path) -> None:
    onnx.save_model(pivot("u8s8" if case.precision == "float32" else "float32"), case.pivot)
    refused(case, tmp_path, match="Q/DQ pairs")


def test_a_precision_that_the_backend_lacks_is_refused(case: Case, tmp_path: Path) -> None:
    lacking: Precision = "bfloat16"
    if case.backend.name == "openvino":
        pytest.skip("openvino has every precision")
    (tmp_path / "out").mkdir()
    with pytest.raises(BackendError, match="bfloat16"):
        case.backend.compile(case.pivot, case.target, lacking, tmp_path / "out")


def test_an_unknown_option_of_the_target_is_refused(case: Case, tmp_path: Path) -> None:
    target = replace(case.target, options={"max_bach": 2})
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="no option `max_bach`"):
        case.backend.compile(case.pivot, target, case.precision, tmp_path / "out")


def test_an_unknown_backend_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean `openvino`"):
        load("openvno")


def refused(case: Case, tmp_path: Path, match: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(BackendError, match=match) as caught:
        case.compile(out)
    assert "\n" not in str(caught.value)
    assert list(out.iterdir()) == []


def copy_of(case: Case) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(pivot(case.flavour))
    return model


def save(model: onnx.ModelProto, case: Case) -> None:
    case.pivot.write_bytes(model.SerializeToString())


def test_the_reference_pivots_are_what_these_tests_think(case: Case) -> None:
    model = onnx.load_model(case.pivot)
    pairs = sum(node.op_type == "QuantizeLinear" for node in model.graph.node)
    assert pairs == (6 if case.precision == "int8" else 0)
    assert np.isfinite(numpy_helper.to_array(model.graph.initializer[0])).all()
