"""A language model on ONNX Runtime: it keeps the cache between calls, without copying it into Python and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.backends.failures import one_line
from edgetl.backends.onnxruntime import open_session
from edgetl.backends.sdk import import_onnxruntime
from edgetl.errors import BackendError
from edgetl.types.decoders import LOGITS, TOKENS, DecoderShape


class OnnxDecoder:
    """One session and the cache of one text. Two threads must not use it at the same time."""

    def __init__(self, model: Path, shape: DecoderShape, *, threads: int) -> None:
        """Raises BackendError if the runtime cannot open the file, or its ports are those of another network."""
        self._model, self._runtime = model, import_onnxruntime()
        self._session = open_session(model, threads)
        self._inputs, self._outputs = shape.past(), [LOGITS, *shape.present()]
        found = [port.name for port in self._session.get_inputs()], [port.name for port in self._session.get_outputs()]
        if set(found[0]) != {TOKENS, *self._inputs} or set(found[1]) != set(self._outputs):
            raise BackendError(f"{model}: expected tokens and the cache of {shape.layers} layers; found other ports")
        self._empty = np.zeros((1, shape.heads, 0, shape.size), np.float32)
        self._vocabulary = shape.vocabulary
        self.reset()

    def reset(self) -> None:
        """Begin another text."""
        empty = self._runtime.OrtValue.ortvalue_from_numpy(self._empty)
        self._cache: list[Any] = [empty] * len(self._inputs)

    def feed(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Logits float32 (len(ids), vocabulary) of the tokens that follow those fed so far. Raises BackendError."""
        tokens = self._runtime.OrtValue.ortvalue_from_numpy(np.array([ids], np.int64))
        given = {TOKENS: tokens, **dict(zip(self._inputs, self._cache, strict=True))}
        try:
            logits, *self._cache = self._session.run_with_ort_values(self._outputs, given)
        except Exception as error:  # the bindings raise a dozen unrelated types
            raise BackendError(f"{self._model}: onnxruntime failed: {one_line(error)}") from error
        found: NDArray[np.float32] = logits.numpy()
        if found.shape != (1, len(ids), self._vocabulary):
            wanted = f"{len(ids)} tokens among {self._vocabulary}"
            raise BackendError(f"{self._model}: expected logits of {wanted}; found the shape {found.shape}")
        rows: NDArray[np.float32] = found[0]
        return rows
