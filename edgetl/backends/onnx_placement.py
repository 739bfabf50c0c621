"""The operators of an ONNX graph, each with its number format.

A quantized graph after onnxruntime's optimization has fused INT8 operators (QLinearConv, QGemm, ...); a remaining
DequantizeLinear -> Conv computes in float. A pivot still has every pair; `as_requested` looks through them.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import TensorProto

from edgetl.types import Operator

_NAMES: dict[int, str] = {
    TensorProto.UINT8: "uint8",
    TensorProto.INT8: "int8",
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
    TensorProto.DOUBLE: "float64",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.BOOL: "bool",
}
_KINDS = {
    "convolution": "Conv ConvInteger ConvTranspose FusedConv NhwcConv NhwcFusedConv QLinearConv QLinearConvTranspose",
    "linear": "DynamicQuantizeLSTM DynamicQuantizeMatMul FusedGemm FusedMatMul Gemm MatMul MatMulInteger "
    "MatMulIntegerToFloat QGemm QLinearMatMul",
    "pooling": "AveragePool GlobalAveragePool GlobalMaxPool MaxPool NhwcMaxPool QLinearAveragePool "
    "QLinearGlobalAveragePool QLinearReduceMean ReduceMean",
    "add": "Add QLinearAdd",
    "multiply": "Mul QLinearMul",
    "concat": "Concat QLinearConcat",
    "quantize": "DynamicQuantizeLinear QuantizeLinear",
    "dequantize": "DequantizeLinear",
    "layout": "Flatten Reshape ReorderInput ReorderOutput Squeeze Transpose Unsqueeze",
}
_KIND_OF = {op: kind for kind, ops in _KINDS.items() for op in ops.split()}
# Position of the output's zero point, whose type is the output's type
_OUTPUT_ZERO_POINT = {
    "QLinearConv": 7, "QLinearMatMul": 7, "QLinearAdd": 7, "QLinearMul": 7, "QGemm": 8, "QLinearSigmoid": 4,
    "QLinearLeakyRelu": 4, "QLinearAveragePool": 4, "QLinearGlobalAveragePool": 4, "QLinearReduceMean": 4,
    "QLinearSoftmax": 4, "QLinearConcat": 1, "QuantizeLinear": 2,
}  # fmt: skip
_ALWAYS_INT32 = ("ConvInteger", "MatMulInteger")
_ALWAYS_INT64 = ("Shape", "Size", "ArgMax", "ArgMin", "NonZero")
_ALWAYS_FLOAT = ("MatMulIntegerToFloat", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")
_QUANTIZES_ITSELF = ("DynamicQuantizeMatMul", "DynamicQuantizeLSTM")


def operators(model: onnx.ModelProto, device: str, *, as_requested: bool = False) -> tuple[Operator, ...]:
    """Every node in graph order. `precision` is the type of the data it reads, in which it computes.

    as_requested  a Conv or Gemm between dequantized inputs counts as the INT8 operator that its Q/DQ pairs request
    """
    types = element_types(model)
    made_by = {name: node for node in model.graph.node for name in node.output}
    found: list[Operator] = []
    for node in model.graph.node:
        source = _data_input(node)
        if as_requested and _between_pairs(node, made_by):
            source = made_by[source].input[0]
        if node.op_type in _QUANTIZES_ITSELF:
            source = node.input[1]  # it reads floats and multiplies what it makes of them with these integers
        precision = _NAMES.get(types.get(source, TensorProto.UNDEFINED), "unknown")
        kind = _KIND_OF.get(node.op_type, node.op_type.lower())
        found.append(Operator(node.name or node.output[0], kind, device, precision))
    return tuple(found)


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """TensorProto data type of every tensor, followed through the graph in node order."""
    types = {value.name: value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.value_info)}
    types.update((tensor.name, tensor.data_type) for tensor in model.graph.initializer)
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            if name and not types.get(name):
                scale = node.op_type == "DynamicQuantizeLinear" and place == 1
                types[name] = TensorProto.FLOAT if scale else _output_type(node, types)
    return types


def _output_type(node: onnx.NodeProto, types: dict[str, int]) -> int:
    op = node.op_type
    attributes = {attribute.name: attribute for attribute in node.attribute}
    if op == "Cast":
        return int(attributes["to"].i)
    if op in ("Constant", "ConstantOfShape") and "value" in attributes:
        return int(attributes["value"].t.data_type)
    if op == "DequantizeLinear":
        return types.get(node.input[1], TensorProto.FLOAT)
    if op in _ALWAYS_FLOAT:
        return TensorProto.FLOAT
    if op == "DynamicQuantizeLinear":
        return TensorProto.UINT8
    if op in _ALWAYS_INT32:
        return TensorProto.INT32
    if op in _ALWAYS_INT64:
        return TensorProto.INT64
    if op in _OUTPUT_ZERO_POINT:
        return _zero_point_type(node, types, attributes)
    return types.get(_data_input(node), TensorProto.UNDEFINED)


def _zero_point_type(node: onnx.NodeProto, types: dict[str, int], attributes: dict[str, onnx.AttributeProto]) -> int:
    position = _OUTPUT_ZERO_POINT[node.op_type]
    if len(node.input) > position and node.input[position]:
        return types.get(node.input[position], TensorProto.UNDEFINED)
    if node.op_type == "QGemm":
        return TensorProto.FLOAT  # without an output scale and zero point the result is not quantized again
    if "output_dtype" in attributes and attributes["output_dtype"].i:
        return int(attributes["output_dtype"].i)
    return TensorProto.UINT8


def _data_input(node: onnx.NodeProto) -> str:
    if node.op_type == "QLinearConcat":  # output scale, output zero point, then (tensor, scale, zero point) each
        return str(node.input[2])
    return next((str(name) for name in node.input if name), "")


def _between_pairs(node: onnx.NodeProto, made_by: dict[str, onnx.NodeProto]) -> bool:
    if _KIND_OF.get(node.op_type) not in ("convolution", "linear") or len(node.input) < 2:
        return False
    makers: Sequence[onnx.NodeProto | None] = [made_by.get(name) for name in node.input[:2]]
    return all(maker is not None and maker.op_type == "DequantizeLinear" for maker in makers)
