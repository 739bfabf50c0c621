"""Makes the input's rounding explicit for OpenVINO, which otherwise runs a convolution on bytes in float.

ONNX Runtime accepts `image -> Transpose -> DequantizeLinear` as the input of an INT8 convolution. OpenVINO's
low-precision pass needs the float values and their FakeQuantize before it; the function is the same.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgetl.backends.onnx_readers import only_reader
from edgetl.types import IMAGE_INPUT


def spell_out_rounding(model: onnx.ModelProto) -> bool:
    """Insert Cast, Mul, Add and QuantizeLinear if bytes go directly into DequantizeLinear; False if they do not."""
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    transpose = only_reader(graph, IMAGE_INPUT)
    reader = None if transpose is None else only_reader(graph, transpose.output[0])
    if transpose is None or reader is None or any(name not in constants for name in list(reader.input)[1:]):
        return False
    if (transpose.op_type, reader.op_type) != ("Transpose", "DequantizeLinear"):
        return False
    scale_name, zero_point_name = list(reader.input)[1:3]
    scale, zero_point = float(constants[scale_name]), int(constants[zero_point_name])
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(scale, np.float32), "image_scale"),
            numpy_helper.from_array(np.array(-scale * zero_point, np.float32), "image_offset"),
        ]
    )
    rounded = transpose.output[0]
    transpose.input[0], transpose.output[0] = "image_shifted", "image_planes"
    before = [
        helper.make_node("Cast", [IMAGE_INPUT], ["image_float"], "image_cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["image_float", "image_scale"], ["image_scaled"], "image_mul"),
        helper.make_node("Add", ["image_scaled", "image_offset"], ["image_shifted"], "image_add"),
    ]
    after = helper.make_node(
        "QuantizeLinear", ["image_planes", scale_name, zero_point_name], [rounded], "image_quantize"
    )
    nodes = list(graph.node)
    place = nodes.index(transpose)
    del graph.node[:]
    graph.node.extend([*nodes[:place], *before, transpose, after, *nodes[place + 1 :]])
    return True
