"""INT8 that no CPU saturates: what a CPU with VNNI, or an ARM one, computes, on every CPU. Torch-free."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

_OFFSET = 128


def with_unsigned_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a network of `to_dynamic` whose products have weights and zero points 128 higher, as uint8.

    The products are the same integers. Without VNNI, x86 adds two products of uint8 and int8 in int16, which saturates;
    for uint8 and uint8 ONNX Runtime takes slower kernels that do not (docs/decisions/0031-text-in-int8.md).
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    read = {
        name
        for node in result.graph.node
        if node.op_type == "MatMulInteger"
        for name in (node.input[1], *node.input[3:])
    }
    for tensor in result.graph.initializer:
        if tensor.name in read and tensor.data_type == onnx.TensorProto.INT8:
            raised = numpy_helper.to_array(tensor).astype(np.int16) + _OFFSET
            tensor.CopyFrom(numpy_helper.from_array(raised.astype(np.uint8), tensor.name))
    return result
