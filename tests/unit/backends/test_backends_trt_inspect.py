"""The engine inspector's JSON in the shapes that TensorRT 8, 10 and its graph compiler write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetl.backends.trt_inspect import operators, precision_of
from edgetl.errors import BackendError


def one(**layer: Any) -> tuple[str, str]:
    (found,) = operators(json.dumps({"Layers": [{"Name": "layer", **layer}], "Bindings": []}), "GPU")
    return found.kind, found.precision


def inputs(*descriptions: str) -> list[dict[str, str]]:
    return [{"Name": "t", "Format/Datatype": text} for text in descriptions]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (
            {
                "LayerType": "CaskConvolution",
                "ParameterType": "Convolution",
                "Weights": {"Type": "Int8", "Count": 9},
                "Inputs": inputs("Thirty-two wide channel vectorized row major Int8 format"),
                "TacticName": "sm80_xmma_fprop_implicit_gemm_interleaved_i8i8_i8i32_f32_nchw_vect_c_32",
            },
            ("convolution", "int8"),
        ),
        (
            {
                "LayerType": "CaskConvolution",
                "ParameterType": "Convolution",
                "Weights": {"Type": "Float", "Count": 9},
                "Inputs": inputs("Row major linear FP32"),
                "TacticName": "sm80_xmma_fprop_implicit_gemm_f32f32_f32f32_f32_nchwkcrs_nchw",
            },
            ("convolution", "float32"),
        ),
        (
            {
                "LayerType": "CaskConvolution",
                "ParameterType": "Convolution",
                "Weights": {"Type": "Float", "Count": 9},
                "Inputs": inputs("Row major linear FP32"),
                "TacticName": "sm80_xmma_fprop_implicit_gemm_tf32f32_tf32f32_f32",
            },
            ("convolution", "tensorfloat32"),
        ),
        (
            {"LayerType": "gemm", "Inputs": inputs("Half", "Half"), "TacticName": "sm80_xmma_gemm_f16f16_f16f32"},
            ("linear", "float16"),
        ),
        (
            {"LayerType": "fusion", "Inputs": inputs("Int8"), "TacticName": "sm80_xmma_gemm_i8i8_i8i32_f32_tn"},
            ("linear", "int8"),
        ),
        (
            {"LayerType": "kgen", "Inputs": inputs("Float"), "TacticName": "__myl_MulAdd"},
            ("elementwise", "float32"),
        ),
        (
            {"LayerType": "Reformat", "ParameterType": "Reformat", "Inputs": inputs("Channel major UInt8 format")},
            ("layout", "uint8"),
        ),
        ({"LayerType": "Reduce", "ParameterType": "Reduce", "Inputs": inputs("BFloat16")}, ("pooling", "bfloat16")),
        ({"LayerType": "Convert", "Inputs": []}, ("convert", "unknown")),
    ],
    ids=lambda value: value["LayerType"] if isinstance(value, dict) else "",
)
def test_layers_are_understood(layer: dict[str, Any], expected: tuple[str, str]) -> None:
    assert one(**layer) == expected


def test_synchronization_and_other_profiles_are_left_out() -> None:
    layers = [{"Name": "a", "LayerType": "signal"}, {"Name": "b [profile 1]", "LayerType": "gemm"}, "c [profile 2]"]
    assert operators(json.dumps({"Layers": layers}), "GPU") == ()


def test_an_engine_without_details_lists_names() -> None:
    (found,) = operators(json.dumps({"Layers": ["conv1 + relu1"]}), "GPU")
    assert (found.name, found.precision) == ("conv1 + relu1", "unknown")


def test_raw_control_characters_in_names_are_taken() -> None:
    (found,) = operators('{"Layers": [{"Name": "a\x1fb", "LayerType": "gemm"}]}', "GPU")
    assert found.kind == "linear"


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"Layers": 3}', "not json"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BackendError, match="inspector"):
        operators(text, "GPU")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
layer_keys = st.sampled_from(["Name", "LayerType", "ParameterType", "TacticName", "Inputs", "Weights"])


@given(st.lists(st.dictionaries(layer_keys, json_values) | json_values, max_size=4))
def test_no_layer_list_ends_in_an_exception(layers: list[Any]) -> None:
    for operator in operators(json.dumps({"Layers": layers}), "GPU"):
        assert isinstance(operator.kind, str)
        assert isinstance(operator.precision, str)


@given(st.text(alphabet=st.characters(blacklist_categories=["L", "N"]), max_size=20))
def test_a_type_is_found_wherever_it_stands(around: str) -> None:
    assert precision_of(f"{around} Int8 {around}") == "int8"
    assert precision_of(f"{around} UInt8 {around}") == "uint8"
