"""The graph that ONNX Runtime makes from a Q/DQ model: the layers it really computes in INT8, and their inputs."""

from __future__ import annotations

from typing import Any

import onnx

from edgetl.backends.sdk import import_onnxruntime
from edgetl.errors import BackendError
from edgetl.files.temporary import temporary_folder

_PROVIDER = "CPUExecutionProvider"
_FATAL_ONLY = 4


def fuse(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with INT8 operators instead of its Q/DQ pairs; names of nodes and weights stay.

    Only rewrites for every CPU; those for this CPU come at a later level. Raises BackendError.
    """
    onnxruntime = import_onnxruntime()
    with temporary_folder() as scratch:
        path = scratch / "fused.onnx"
        options = _options()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(path)
        _session(model, options)
        return onnx.load_model(path)


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
