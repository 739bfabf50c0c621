"""Puts the mel front end into the graph: int16 samples in, logits out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgetl.fronts.audio.mel import FrontEnd, front_end
from edgetl.pivot.preprocess import with_metadata
from edgetl.pivot.serialize import clean
from edgetl.types import AudioPreprocessing

AUDIO_INPUT = "audio"


def attach_audio(model: onnx.ModelProto, p: AudioPreprocessing, labels: Sequence[str]) -> onnx.ModelProto:
    """Replace the float input (batch, 1, frames, features) by `audio`, int16 (batch, samples), and write labels and
    preprocessing into the model's metadata, as `preprocess.attach` does for images.

    The steps are those of `fronts.audio.mel.FrontEnd`, in float32: the Fourier transform is one Conv over the samples,
    which every runtime has (docs/decisions/0025-audio-front.md). The file grows by its kernels, 4 bytes for each of
    2 * bins * window values.
    """
    result = clean(model)
    graph = result.graph
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param or "batch"
    steps = _front_end(front_end(p.mel, p.rate_hz))
    steps.end(graph.input[0].name)
    graph.initializer.extend(steps.constants)
    body = list(graph.node)
    del graph.node[:]
    graph.node.extend([*steps.nodes, *body])
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(AUDIO_INPUT, TensorProto.INT16, [batch, p.samples]))
    return with_metadata(result, p, labels)


class _Steps:
    """Nodes one after another, each named after what it does and working on the result of the one before."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.result = AUDIO_INPUT

    def constant(self, name: str, value: NDArray[Any] | np.float32) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), f"audio_{name}"))
        return f"audio_{name}"

    def add(self, operator: str, name: str, *others: str, **attributes: Any) -> str:
        """Apply `operator` to the result so far, and to `others`. Returns the name of the new result."""
        made = f"audio_{name}_result"
        node = helper.make_node(operator, [self.result, *others], [made], f"audio_{name}", **attributes)
        self.nodes.append(node)
        self.result = made
        return made

    def end(self, output: str) -> None:
        self.nodes[-1].output[0] = self.result = output


def _front_end(end: FrontEnd) -> _Steps:
    steps = _Steps()
    steps.add("Cast", "cast", to=TensorProto.FLOAT)
    steps.add("Unsqueeze", "channel", steps.constant("channel_axis", np.array([1], np.int64)))
    kernels = end.kernels[:, None]
    wave = steps.add(
        "Conv", "dft", steps.constant("kernels", kernels), strides=[end.hop], kernel_shape=[kernels.shape[2]]
    )
    steps.add("Mul", "square", wave)
    _add_halves(steps)
    if end.amplitude:
        steps.add("Sqrt", "amplitude")
    steps.add("Transpose", "frames", perm=[0, 2, 1])
    steps.add("MatMul", "bands", steps.constant("triangles", end.bands))
    steps.add("Add" if end.added else "Max", "floor", steps.constant("least", np.float32(end.floor)))
    values = steps.add("Log", "log")
    if end.below:
        steps.add("ReduceMax", "loudest", steps.constant("clip_axes", np.array([1, 2], np.int64)), keepdims=1)
        steps.add("Sub", "lowest", steps.constant("below", np.float32(end.below)))
        steps.add("Max", "cut", values)
    if end.mix is not None:
        steps.add("MatMul", "cepstrum", steps.constant("cosines", end.mix))
    elif end.factor != 1:
        steps.add("Mul", "scale", steps.constant("factor", np.float32(end.factor)))
    if end.offset:
        steps.add("Add", "shift", steps.constant("offset", np.float32(end.offset)))
    steps.add("Unsqueeze", "plane", "audio_channel_axis")
    return steps


def _add_halves(steps: _Steps) -> None:
    """Add the squares of the imaginary parts, the second half of the channels, to those of the real parts."""
    halves = ["audio_real_result", "audio_imaginary_result"]
    steps.nodes.append(helper.make_node("Split", [steps.result], halves, "audio_halves", axis=1, num_outputs=2))
    steps.result = halves[0]
    steps.add("Add", "power", halves[1])
