"""Checks that a Q/DQ graph follows its scheme. Torch-free; reads the file itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgetl.errors import BackendError
from edgetl.pivot.macs import COMPUTE, Kind, is_depthwise
from edgetl.types import OperatorName, Scheme

_TYPES = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8}
_SCHEME_NAMES: dict[Kind, OperatorName] = {"convolution": "conv", "linear": "linear"}
_MOST_IN_A_PAIR = 128  # times 255 fits int16


def check_scheme(model: onnx.ModelProto, scheme: Scheme, in_float: int = 0) -> None:
    """Every Q/DQ pair has the scheme's type and zero point, weights are int8 around zero, biases are float, and no
    convolution or linear layer that the scheme lists computes in float, except for `in_float` of them. If the scheme
    requires pairs of products to fit int16, no two weights that the runtime multiplies as a pair are too large.

    raises  BackendError naming the first node that differs.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    made_by = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            _check_pair(node, constants, scheme)
        elif node.op_type in COMPUTE and _SCHEME_NAMES[COMPUTE[node.op_type]] in scheme.operators:
            if in_float and _is_float(node, made_by):
                in_float -= 1
                continue
            _check_compute(node, constants, made_by)
            if scheme.weight_pairs_in_int16:
                _check_pairs(node, constants, made_by)


def _check_pair(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto], scheme: Scheme) -> None:
    zero_point = _constant(node, 2, constants, "an explicit zero point")
    scale = _constant(node, 1, constants, "a constant scale")
    if not np.all(np.isfinite(scale)) or not np.all(scale > 0):
        raise _differs(node, "positive finite scales", f"{scale.min()}")
    stored = constants.get(node.input[0])
    if stored is not None:  # a weight or a bias
        if stored.data_type != TensorProto.INT8 or np.any(zero_point):
            raise _differs(node, "int8 weights with zero point 0", f"{_name(stored.data_type)}, {zero_point.max()}")
        return
    found = constants[node.input[2]].data_type
    if found != _TYPES[scheme.activation_dtype]:
        raise _differs(node, f"{scheme.activation_dtype} activations", _name(found))
    if scheme.activation_symmetric and int(zero_point) != (128 if scheme.activation_dtype == "uint8" else 0):
        raise _differs(node, "a symmetric zero point", f"{int(zero_point)}")


def _is_float(node: onnx.NodeProto, made_by: dict[str, onnx.NodeProto]) -> bool:
    """Whether neither input nor weights come from integers: the whole layer was left out."""
    sources = [made_by.get(name) for name in node.input[:2]]
    return all(source is None or source.op_type != "DequantizeLinear" for source in sources)


def _check_compute(
    node: onnx.NodeProto, constants: dict[str, onnx.TensorProto], made_by: dict[str, onnx.NodeProto]
) -> None:
    weights = node.input[1]
    if node.op_type == "MatMul" and weights not in constants and _root(weights, made_by) not in constants:
        return  # a product of two activations (attention) is not in any scheme
    for name in node.input[:2]:
        source = made_by.get(name)
        while source is not None and source.op_type in ("Transpose", "Reshape"):
            source = made_by.get(source.input[0])
        if source is None or source.op_type != "DequantizeLinear":
            raise _differs(node, "inputs and weights from DequantizeLinear", f"`{name}` in float")
    if len(node.input) > 2 and node.input[2] and node.input[2] not in constants:
        raise _differs(node, "a constant float bias", f"`{node.input[2]}`")


def _check_pairs(
    node: onnx.NodeProto, constants: dict[str, onnx.TensorProto], made_by: dict[str, onnx.NodeProto]
) -> None:
    root = _root(node.input[1], made_by)
    if root not in constants:
        return
    weights = numpy_helper.to_array(constants[root]).astype(np.int64)
    settings = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "Conv":
        if is_depthwise(weights.shape, settings.get("group", 1)):
            return  # no sums of pairs
        weights = np.moveaxis(weights, 1, -1)  # the channels of a kernel position are neighbors
    elif not settings.get("transB", 0) and made_by[node.input[1]].op_type != "Transpose":
        weights = weights.T
    rows = weights.reshape(len(weights), -1)
    pairs = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2))).reshape(len(rows), -1, 2)
    largest = max(int(np.clip(sign * pairs, 0, None).sum(-1).max(initial=0)) for sign in (1, -1))
    if largest > _MOST_IN_A_PAIR:
        raise _differs(node, f"pairs of weights that sum to at most {_MOST_IN_A_PAIR}", str(largest))


def _root(name: str, made_by: dict[str, onnx.NodeProto]) -> str:
    while name in made_by and made_by[name].op_type in ("Transpose", "Reshape", "DequantizeLinear"):
        name = made_by[name].input[0]
    return name


def _constant(node: onnx.NodeProto, index: int, constants: dict[str, onnx.TensorProto], wanted: str) -> NDArray[Any]:
    if len(node.input) <= index or node.input[index] not in constants:
        raise _differs(node, wanted, "none")
    array: NDArray[Any] = numpy_helper.to_array(constants[node.input[index]])
    return array


def _name(data_type: int) -> str:
    return str(TensorProto.DataType.Name(data_type)).lower()


def _differs(node: onnx.NodeProto, wanted: str, found: str) -> BackendError:
    return BackendError(
        f"Q/DQ graph, node {node.name or node.output[0]} ({node.op_type}): expected {wanted}, found {found}; "
        "take this operator out of the scheme's `operators` or choose another backbone"
    )
