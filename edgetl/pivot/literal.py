"""Runs an ONNX model with onnxruntime computing each node as written, without INT8 kernels: the same on every CPU."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgetl.types import fed

if TYPE_CHECKING:
    from edgetl.tasks.base import Outputs


def open_literal(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def infer(session: onnxruntime.InferenceSession, batches: Iterable[NDArray[np.generic]]) -> Outputs:
    """Outputs of uint8 (n, H, W, 3) batches, at least one, by name: float32 (N, ...) each."""
    names = [value.name for value in session.get_outputs()]
    return joined(names, [session.run(names, fed(batch)) for batch in batches])


def joined(names: Sequence[str], parts: Sequence[Sequence[NDArray[np.float32]]]) -> Outputs:
    """The outputs of several batches as one."""
    return {name: np.concatenate([part[place] for part in parts]) for place, name in enumerate(names)}
