"""Reads the operators from a TensorRT engine's own description (engine inspector, JSON, detailed verbosity).

The fields differ between versions and between TensorRT's two compilers. Older layers name a `ParameterType`
("Convolution") and describe tensors in a sentence ("Thirty-two wide channel vectorized row major Int8 format");
newer ones have a `LayerType` such as "gemm", "conv" or "kgen" and tensor types as one word ("Half").
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from edgetl.errors import BackendError
from edgetl.types import Operator

UNKNOWN = "unknown"
_TYPE_WORDS = {
    "bf16": "bfloat16", "bfloat16": "bfloat16", "fp32": "float32", "float": "float32", "float32": "float32",
    "tf32": "tensorfloat32", "fp16": "float16", "half": "float16", "float16": "float16", "fp8": "float8",
    "int8": "int8", "uint8": "uint8", "int32": "int32", "int64": "int64", "bool": "bool",
}  # fmt: skip
_TYPE_WORD = re.compile(rf"\b({'|'.join(sorted(_TYPE_WORDS, key=len, reverse=True))})\b", re.IGNORECASE)
# Kernel names carry operand types: ..._fprop_implicit_gemm_i8i8_i8i32_f32_..., ..._gemm_f32f32_..., tf32f32
_KERNEL_TYPES = (("i8i8", "int8"), ("tf32", "tensorfloat32"), ("bf16bf16", "bfloat16"), ("f16f16", "float16"))
_KINDS = (
    ("convolution", r"conv(?!ert)"),
    ("linear", r"gemm|matrix_?multipl|matmul|fully_?connected"),
    ("pooling", r"pool|reduce"),
    ("quantize", r"(?<!de)quantize"),
    ("dequantize", r"dequantize"),
    ("layout", r"reformat|shuffle|reshape|transpose|noop|copy"),
    ("elementwise", r"point_?wise|eltwise|elementwise|kgen|fusion"),
)
_SYNCHRONIZATION = ("signal", "wait")


def operators(text: str, device: str) -> tuple[Operator, ...]:
    """Operators of the first optimization profile. Raises BackendError if `text` is not such a description.

    An engine built without detailed verbosity lists only names; their precision is "unknown".
    """
    try:
        layers = json.loads(text, strict=False)["Layers"]  # names contain raw control characters
    except (ValueError, KeyError, TypeError) as error:
        raise BackendError("the engine inspector did not return valid JSON") from error
    if not isinstance(layers, list):
        raise BackendError("the engine inspector returned no list of layers")
    return tuple(_operator(layer, device) for layer in layers if _belongs(layer))


def precision_of(description: str) -> str:
    """The data type in a tensor's description; "unknown" if there is none."""
    found = _TYPE_WORD.search(description)
    return _TYPE_WORDS[found.group(1).lower()] if found else UNKNOWN


def _belongs(layer: object) -> bool:
    if not isinstance(layer, Mapping):
        return "[profile " not in str(layer)
    return layer.get("LayerType") not in _SYNCHRONIZATION and "[profile " not in str(layer.get("Name", ""))


def _operator(layer: object, device: str) -> Operator:
    if not isinstance(layer, Mapping):
        return Operator(str(layer), UNKNOWN, device, UNKNOWN)
    return Operator(str(layer.get("Name", "")), _kind(layer), device, _precision(layer))


def _kind(layer: Mapping[str, Any]) -> str:
    for field in ("ParameterType", "LayerType", "TacticName"):
        text = str(layer.get(field, "")).lower()
        if field == "TacticName" and "fprop" in text:
            return "convolution"
        for kind, pattern in _KINDS:
            if re.search(pattern, text) and not (kind == "elementwise" and _kernel_is_product(layer)):
                return kind
    return str(layer.get("LayerType", UNKNOWN)).lower()


def _kernel_is_product(layer: Mapping[str, Any]) -> bool:
    """A generated or fused layer whose kernel is a convolution or a matrix product."""
    return bool(re.search(r"fprop|conv(?!ert)|gemm|matmul", str(layer.get("TacticName", "")).lower()))


def _precision(layer: Mapping[str, Any]) -> str:
    weights = layer.get("Weights")
    if isinstance(weights, Mapping) and (found := precision_of(str(weights.get("Type", "")))) != UNKNOWN:
        return _with_kernel(found, layer)
    inputs = layer.get("Inputs")
    first = inputs[0] if isinstance(inputs, list) and inputs and isinstance(inputs[0], Mapping) else {}
    described = str(first.get("Format/Datatype") or first.get("Datatype") or first.get("Format") or "")
    return _with_kernel(precision_of(described), layer)


def _with_kernel(precision: str, layer: Mapping[str, Any]) -> str:
    """The number format in the kernel's name, if it is a product and has one: float32 tensors may run in TF32."""
    kernel = str(layer.get("TacticName", "")).lower()
    if not _kernel_is_product(layer):
        return precision
    return next((name for mark, name in _KERNEL_TYPES if mark in kernel), precision)
