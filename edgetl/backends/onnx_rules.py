"""The rules for a pivot, checked on the file alone, including those of TensorRT's parser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, numpy_helper

from edgetl.backends.failures import one_line
from edgetl.errors import BackendError
from edgetl.pivot.outside_data import NotOnnx, has_outside_data
from edgetl.types import PRECISIONS, ElementType, Port, Precision, Signature

OLDEST_OPSET, NEWEST_OPSET = 13, 23
MAX_PIVOT_BYTES = 2**31 - 1  # protobuf's own bound
QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_LSTM = "DynamicQuantizeLSTM"
_DYNAMIC = ("DynamicQuantizeLinear", "MatMulInteger", _LSTM)


@dataclass(frozen=True)
class PivotFacts:
    """`quantized` if the graph has Q/DQ pairs or integer operators, `half` if it has float16 weights."""

    signature: Signature
    opset: int
    quantized: bool
    half: bool


def load_pivot(path: Path) -> tuple[onnx.ModelProto, PivotFacts]:
    """Read and check an ONNX file: every input and output has a dynamic batch first, and only fixed sizes behind it,
    except the length of tokens, which are int32.

    raises  BackendError if it is unreadable, violates the ONNX rules, refers to other files, or has another interface.
    """
    model = _read(path)
    _refuse_outside_data(path)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # its own ValidationError and InferenceError, and others if a type is unknown
        raise BackendError(f"{path}: not a valid ONNX model: {one_line(error)}") from error
    _refuse_unreadable_tensors(model, path)
    opset = _opset(model, path)
    signature = _signature(model, path)
    quantized = any(node.op_type in (QUANTIZE, DEQUANTIZE, *_DYNAMIC) for node in model.graph.node)
    half = any(tensor.data_type == TensorProto.FLOAT16 for tensor in model.graph.initializer)
    return model, PivotFacts(signature, opset, quantized, half)


def check_precision(facts: PivotFacts, precision: Precision, path: Path) -> None:
    """An INT8 build needs a pivot with Q/DQ pairs, a float16 build one with float16 weights, others neither."""
    kind = PRECISIONS[precision]
    if facts.quantized != kind.integers:
        found = "has Q/DQ pairs" if facts.quantized else "has none"
        wanted = "without" if facts.quantized else "with"
        raise BackendError(f"{path}: a {precision} build takes a pivot {wanted} Q/DQ pairs; this one {found}")
    if facts.half != (kind.format == "float16"):
        found, wanted = ("float16", "float32") if facts.half else ("float32", "float16")
        raise BackendError(f"{path}: a {precision} build takes a pivot with {wanted} weights; this one has {found}")


def check_tensorrt(model: onnx.ModelProto, path: Path) -> None:
    """Refuse what TensorRT's ONNX parser refuses, naming the node, on a machine without TensorRT.

    Ranges are observed, not found when the network runs. The uint8 network input feeds only Cast nodes, and so does an
    int16 one, which becomes int32. Every Q/DQ pair is int8 with zero point 0; activations have one scale; only int8
    passes through DequantizeLinear (onnxruntime's own tools write int32 biases there).
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    kinds = _quantized_types(model, constants)
    narrow = {TensorProto.UINT8: "uint8", TensorProto.INT16: "int16"}
    kinds_of = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    only_cast = {name: narrow[kind] for name, kind in kinds_of.items() if kind in narrow}
    for node in model.graph.node:
        where = f"{path}: node `{node.name or node.output[0]}` ({node.op_type})"
        for name in only_cast.keys() & set(node.input):
            if node.op_type != "Cast":
                raise BackendError(f"{where}: TensorRT accepts the {only_cast[name]} input `{name}` only into a Cast")
        if node.op_type in _DYNAMIC:
            raise BackendError(
                f"{where}: TensorRT takes no ranges from values; give the target a symmetric int8 scheme"
            )
        if node.op_type in (QUANTIZE, DEQUANTIZE):
            _check_pair(node, constants, kinds, where)


def _check_pair(
    node: onnx.NodeProto, constants: dict[str, onnx.TensorProto], kinds: dict[str, int], where: str
) -> None:
    quantized = node.output[0] if node.op_type == QUANTIZE else node.input[0]
    kind = kinds.get(quantized, TensorProto.UNDEFINED)
    if kind != TensorProto.INT8:
        name = TensorProto.DataType.Name(kind).lower()
        raise BackendError(f"{where}: TensorRT quantizes only to int8; found {name}: use a symmetric int8 scheme")
    scale = constants.get(node.input[1])
    if scale is None:
        raise BackendError(f"{where}: the scale `{node.input[1]}` is not a constant")
    if node.op_type == QUANTIZE and numpy_helper.to_array(scale).size != 1:
        raise BackendError(f"{where}: TensorRT accepts one scale per activation tensor; found {list(scale.dims)}")
    if len(node.input) > 2 and node.input[2]:
        zero_point = constants.get(node.input[2])
        if zero_point is None or numpy_helper.to_array(zero_point).any():
            raise BackendError(f"{where}: TensorRT accepts only zero point 0: use a symmetric int8 scheme")


def _quantized_types(model: onnx.ModelProto, constants: dict[str, onnx.TensorProto]) -> dict[str, int]:
    """Element types of the quantized tensors. A Q/DQ pair may surround operators that only move data."""
    kinds = {name: tensor.data_type for name, tensor in constants.items()}
    for node in model.graph.node:
        if node.op_type == QUANTIZE:
            kinds[node.output[0]] = _quantize_type(node, constants)
        elif node.input and node.input[0] in kinds and node.op_type in _MOVES:
            kinds[node.output[0]] = kinds[node.input[0]]
    return kinds


_MOVES = ("Flatten", "Identity", "MaxPool", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


def _quantize_type(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> int:
    if len(node.input) > 2 and node.input[2] in constants:
        return constants[node.input[2]].data_type
    declared = [attribute.i for attribute in node.attribute if attribute.name == "output_dtype"]
    return declared[0] if declared and declared[0] else TensorProto.UINT8


def _read(path: Path) -> onnx.ModelProto:
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_PIVOT_BYTES:
            raise BackendError(f"{path}: {size_bytes} bytes are more than an ONNX file can have ({MAX_PIVOT_BYTES})")
        model = onnx.load_model(path, format="protobuf", load_external_data=False)
    except OSError as error:
        raise BackendError(f"{path}: cannot read the model: {error.strerror or error}") from error
    except DecodeError as error:
        raise BackendError(f"{path}: not an ONNX file, or truncated") from error
    if not model.graph.node:
        raise BackendError(f"{path}: the ONNX graph has no nodes")
    return model


def _refuse_outside_data(path: Path) -> None:
    try:
        outside = has_outside_data(path)
    except NotOnnx as error:
        raise BackendError(f"{path}: not an ONNX file, or truncated") from error
    if outside:
        raise BackendError(f"{path}: a tensor lies in another file; save the model as one file")


def _refuse_unreadable_tensors(model: onnx.ModelProto, path: Path) -> None:
    for tensor in model.graph.initializer:
        try:
            numpy_helper.to_array(tensor)
        except Exception as error:  # the errors for a wrong shape, type or segment are not documented
            raise BackendError(f"{path}: tensor `{tensor.name}` cannot be read: {one_line(error)}") from error


def _opset(model: onnx.ModelProto, path: Path) -> int:
    foreign = sorted({node.domain for node in model.graph.node if node.op_type != _LSTM} - {"", "ai.onnx"})
    if foreign:
        raise BackendError(f"{path}: operators of the domain {foreign[0]} are not ONNX; export the plain pivot")
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise BackendError(f"{path}: expected opset {OLDEST_OPSET} to {NEWEST_OPSET}; found {opset}")
    return opset


def _signature(model: onnx.ModelProto, path: Path) -> Signature:
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if not inputs or not model.graph.output:
        raise BackendError(f"{path}: expected at least one input and one output; export it with `edgetl export`")
    return Signature(
        tuple(_port(value, path, "input") for value in inputs),
        tuple(_port(value, path, "output") for value in model.graph.output),
    )


_ELEMENTS: dict[int, ElementType] = {
    TensorProto.UINT8: "uint8",
    TensorProto.INT16: "int16",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.FLOAT: "float32",
}


def _port(value: onnx.ValueInfoProto, path: Path, kind: str) -> Port:
    """An input, or an output, which must be float32."""
    element, shape = _tensor_type(value)
    wanted = "a float32 output" if kind == "output" else f"an input of {', '.join(_ELEMENTS.values())}"
    if element not in _ELEMENTS or (kind == "output" and element != TensorProto.FLOAT):
        name = TensorProto.DataType.Name(element).lower()
        raise BackendError(f"{path}: `{value.name}`: expected {wanted}; found {name}")
    tokens = kind == "input" and element == TensorProto.INT32 and len(shape) == 2
    if len(shape) < 2 or shape[0] != 0 or (0 in shape[1:] and not tokens):
        found = [size or "?" for size in shape]
        raise BackendError(f"{path}: `{value.name}`: expected fixed sizes behind a dynamic batch; found shape {found}")
    return Port(value.name, _ELEMENTS[element], (None, *(size or None for size in shape[1:])))


def _tensor_type(value: onnx.ValueInfoProto) -> tuple[int, list[int]]:
    """Element type and shape; 0 stands for a size that is not fixed."""
    tensor = value.type.tensor_type
    return tensor.elem_type, [dim.dim_value for dim in tensor.shape.dim]
