"""Runs a fused network with some layers computed in numpy and all others by ONNX Runtime.

The graph is cut at every layer that can saturate. Each part between two cuts is a separate model with its own session.
The cut layers are integer arithmetic in numpy, so the result is that of a CPU without VNNI, or of one with it, on any
machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgetl.backends.onnx_placement import element_types
from edgetl.diagnose.forecast.fused import fuse, open_as_is
from edgetl.diagnose.forecast.layers import Layer, layers_of
from edgetl.tasks.base import Outputs
from edgetl.types import fed

Array = NDArray[np.generic]
Compute = Callable[[Layer, NDArray[np.uint8]], Array]


@dataclass(frozen=True)
class _Segment:
    session: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Network:
    """A model cut at the layers that can saturate.

    layers   every layer on uint8 x int8, in order; those that cannot saturate stay in ONNX Runtime
    unknown  names of layers on uint8 x int8 that are not modeled; they are treated as exact
    raises   BackendError if onnxruntime cannot open the model.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        fused = fuse(model)
        self._outputs = tuple(value.name for value in fused.graph.output)
        self.layers, self.unknown = layers_of(fused)
        self._steps = _cut(fused, [layer for layer in self.layers if layer.can_saturate])

    def run(self, image: NDArray[np.generic], compute: Compute) -> Outputs:
        """Outputs (1, ...) of one image (H, W, 3), with `compute` instead of the layers that can saturate."""
        values: dict[str, Array] = fed(image[None])
        for step in self._steps:
            if isinstance(step, Layer):
                values[step.output] = compute(step, np.asarray(values[step.source], dtype=np.uint8))
            else:
                found = step.session.run(list(step.outputs), {name: values[name] for name in step.inputs})
                values.update(zip(step.outputs, found, strict=True))
        return {name: np.asarray(values[name], dtype=np.float32) for name in self._outputs}


def _cut(model: onnx.ModelProto, layers: Sequence[Layer]) -> list[_Segment | Layer]:
    by_output = {layer.output: layer for layer in layers}
    steps: list[list[onnx.NodeProto] | Layer] = [[]]
    for node in model.graph.node:
        layer = by_output.get(node.output[0])
        if layer is not None:
            steps += [layer, []]
        elif isinstance(block := steps[-1], list):
            block.append(node)
    return _open(model, [step for step in steps if step])


def _open(model: onnx.ModelProto, steps: Sequence[list[onnx.NodeProto] | Layer]) -> list[_Segment | Layer]:
    types = element_types(model)
    opened: list[_Segment | Layer] = []
    needed = {value.name for value in model.graph.output}
    for step in reversed(steps):  # from the end, because then the inputs of later steps are known
        if isinstance(step, Layer):
            opened.append(step)
            needed.add(step.source)
            continue
        segment = _segment(model, step, needed, types)
        opened.append(segment)
        needed |= set(segment.inputs)
    return opened[::-1]


def _segment(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], needed: set[str], types: dict[str, int]
) -> _Segment:
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    made = {name for node in nodes for name in node.output}
    read = dict.fromkeys(name for node in nodes for name in node.input if name)
    inputs = tuple(name for name in read if name not in made and name not in constants)
    outputs = tuple(sorted(made & needed))
    graph = helper.make_graph(
        list(nodes),
        "segment",
        [_value(name, types) for name in inputs],
        [_value(name, types) for name in outputs],
        [constants[name] for name in read if name in constants],
    )
    piece = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    return _Segment(open_as_is(piece), inputs, outputs)


def _value(name: str, types: dict[str, int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), None)
