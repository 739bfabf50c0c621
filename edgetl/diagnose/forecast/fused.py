"""The graph that ONNX Runtime makes from a Q/DQ model: the layers it really computes in INT8, and their inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgetl.backends.sdk import import_onnxruntime
from edgetl.errors import BackendError
from edgetl.files.temporary import temporary_folder

PRODUCT = "MatMulInteger"
_PROVIDER = "CPUExecutionProvider"
_FATAL_ONLY = 4


def fuse(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with INT8 operators instead of its Q/DQ pairs; names of nodes and weights stay.

    Only rewrites for every CPU; those for this CPU come at a later level. Where ranges are found when the network runs,
    products stay apart from what finds them, and zero points are subtracted after them. Raises BackendError.
    """
    onnxruntime = import_onnxruntime()
    levels = onnxruntime.GraphOptimizationLevel
    dynamic = any(node.op_type == PRODUCT for node in model.graph.node)
    with temporary_folder() as scratch:
        path = scratch / "fused.onnx"
        options = _options()
        options.graph_optimization_level = levels.ORT_ENABLE_BASIC if dynamic else levels.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(path)
        _session(_with_plain_products(model) if dynamic else model, options)
        return onnx.load_model(path)


def _with_plain_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that multiplies integers as they are, and then subtracts zero point x sum of weights."""
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    graph = copied.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes.append(node)
        weights = constants.get(node.input[1]) if node.op_type == PRODUCT else None
        if weights is None or len(node.input) < 3 or len(weights.dims) != 2:
            continue
        result, zero_point = node.output[0], node.input[2]
        names = [f"{result}/{part}" for part in ("plain", "sums", "zero", "offset")]
        sums = numpy_helper.to_array(weights).sum(axis=0, dtype=np.int32)
        graph.initializer.append(numpy_helper.from_array(sums, names[1]))
        node.output[0] = names[0]
        node.input[2] = ""
        nodes += [
            helper.make_node("Cast", [zero_point], [names[2]], names[2], to=TensorProto.INT32),
            helper.make_node("Mul", [names[2], names[1]], [names[3]], names[3]),
            helper.make_node("Sub", [names[0], names[3]], [result], f"{result}/shifted"),
        ]
    del graph.node[:]
    graph.node.extend(nodes)
    return copied


def open_as_is(model: onnx.ModelProto) -> Any:
    """A session that runs the unchanged nodes on one thread. Raises BackendError."""
    options = _options()
    options.graph_optimization_level = import_onnxruntime().GraphOptimizationLevel.ORT_DISABLE_ALL
    return _session(model, options)


def _options() -> Any:
    options = import_onnxruntime().SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    return options


def _session(model: onnx.ModelProto, options: Any) -> Any:
    try:
        return import_onnxruntime().InferenceSession(model.SerializeToString(), options, providers=[_PROVIDER])
    except Exception as error:  # the bindings raise a dozen unrelated types
        raise BackendError(
            f"onnxruntime cannot open the model for a saturation forecast: {' '.join(str(error).split())}"
        ) from error
