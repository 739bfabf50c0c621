"""Puts into the graph what each front computes after its files are read: of windows their scaling, of texts a cast."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import TensorProto, helper, numpy_helper

from edgetl.fronts.series.scale import factors
from edgetl.pivot.attach_audio import attach_audio
from edgetl.pivot.preprocess import attach_image, with_metadata
from edgetl.pivot.serialize import clean
from edgetl.types import AudioPreprocessing, Preprocessing, SeriesPreprocessing, TextPreprocessing, as_image

SERIES_INPUT = "series"
TOKENS_INPUT = "tokens"


def attach(model: onnx.ModelProto, p: Preprocessing, labels: Sequence[str]) -> onnx.ModelProto:
    """A copy of the network whose input is `p.port`, with labels and preprocessing in its metadata."""
    if isinstance(p, AudioPreprocessing):
        return attach_audio(model, p, labels)
    if isinstance(p, TextPreprocessing):
        return attach_text(model, p, labels)
    if isinstance(p, SeriesPreprocessing):
        return attach_series(model, p, labels)
    return attach_image(model, as_image(p), labels)


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


def attach_text(model: onnx.ModelProto, p: TextPreprocessing, labels: Sequence[str]) -> onnx.ModelProto:
    """Replace the int64 input (batch, length) by `tokens`, int32 (batch, length), and write labels and preprocessing
    into the model's metadata, as `preprocess.attach_image` does for images.

    A Cast is all that is added: the network leaves out the padding itself.
    """
    result = clean(model)
    graph = result.graph
    source = graph.input[0]
    sizes = [
        dimension.dim_param or name
        for dimension, name in zip(source.type.tensor_type.shape.dim, ("batch", "length"), strict=True)
    ]
    cast = helper.make_node("Cast", [TOKENS_INPUT], [source.name], "tokens_cast", to=TensorProto.INT64)
    graph.node.insert(0, cast)
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(TOKENS_INPUT, TensorProto.INT32, sizes))
    return with_metadata(result, p, labels)
