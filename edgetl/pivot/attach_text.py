"""Puts the input of texts into the graph: int32 tokens in, logits out."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import TensorProto, helper

from edgetl.pivot.preprocess import with_metadata
from edgetl.pivot.serialize import clean
from edgetl.types import TextPreprocessing

TOKENS_INPUT = "tokens"


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
