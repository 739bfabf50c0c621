"""The network in float16, and the range of its values on real images. Torch-free.

float16 ends at 65,504: a larger value becomes infinity and ruins everything after it. So all values between operators
are checked first.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from numpy.typing import NDArray

from edgetl.pivot.literal import open_literal
from edgetl.pivot.mixed import expose
from edgetl.pivot.pivot import HalfRange
from edgetl.types import fed


def measure_range(model: onnx.ModelProto, batches: Iterable[NDArray[np.generic]]) -> HalfRange:
    """The largest magnitude of any float value between the operators of a float32 pivot model.

    batches  uint8 (n, H, W, 3), a few images each: every operator's output is held at once
    A value that is not a number counts as the largest of float32. The lowest of float32 does not count: it stands for
    minus infinity where attention leaves padding out, and any large number does that.
    """
    names = _float_values(model)
    session = open_literal(expose(model, names).SerializeToString())
    largest, where, images = 0.0, "", 0
    for batch in batches:
        images += len(batch)
        for name, values in zip(names, session.run(names, fed(batch)), strict=True):
            magnitude = _magnitude(values)
            if magnitude > largest:
                largest, where = magnitude, name
    return HalfRange(largest=largest, tensor=where, images=images)


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that computes in float16 between a float32 input and float32 outputs."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    converted: onnx.ModelProto = convert_float_to_float16(copied, keep_io_types=True)
    OnnxModel.graph_topological_sort(converted.graph)  # its casts stand at the end
    onnx.checker.check_model(converted)
    return converted


def _magnitude(values: NDArray[np.float32]) -> float:
    largest = float(np.finfo(np.float32).max)
    counted = np.where(values == -np.finfo(np.float32).max, 0, values)
    return float(np.abs(np.nan_to_num(counted, nan=largest, posinf=largest, neginf=-largest)).max(initial=0.0))


def _float_values(model: onnx.ModelProto) -> list[str]:
    """Names of all float32 results of operators, in graph order."""
    inferred = onnx.shape_inference.infer_shapes(model)
    values = (*inferred.graph.value_info, *model.graph.output)
    kinds = {value.name: value.type.tensor_type.elem_type for value in values}
    made = [name for node in model.graph.node for name in node.output]
    return [name for name in made if kinds.get(name) == onnx.TensorProto.FLOAT]
