"""Puts the scaling of channels into the graph: float32 windows in, logits out."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import TensorProto, helper, numpy_helper

from edgetl.fronts.series.scale import factors
from edgetl.pivot.preprocess import with_metadata
from edgetl.pivot.serialize import clean
from edgetl.types import SeriesPreprocessing

SERIES_INPUT = "series"


def attach_series(model: onnx.ModelProto, p: SeriesPreprocessing, labels: Sequence[str]) -> onnx.ModelProto:
    """Replace the float input (batch, channels, steps) by `series`, float32 (batch, steps, channels) in the sensors'
    own units, and write labels and preprocessing into the model's metadata, as `preprocess.attach_image` does."""
    result = clean(model)
    graph = result.graph
    source = graph.input[0].name
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param or "batch"
    mean, factor = factors(p)
    graph.initializer.extend(
        [numpy_helper.from_array(mean, "series_mean"), numpy_helper.from_array(factor, "series_factor")]
    )
    steps = [
        helper.make_node("Sub", [SERIES_INPUT, "series_mean"], ["series_centered"], "series_sub"),
        helper.make_node("Mul", ["series_centered", "series_factor"], ["series_scaled"], "series_mul"),
        helper.make_node("Transpose", ["series_scaled"], [source], "series_transpose", perm=[0, 2, 1]),
    ]
    body = list(graph.node)
    del graph.node[:]
    graph.node.extend([*steps, *body])
    del graph.input[:]
    shape = [batch, p.steps, len(p.mean)]
    graph.input.append(helper.make_tensor_value_info(SERIES_INPUT, TensorProto.FLOAT, shape))
    return with_metadata(result, p, labels)
