"""Runs the user's file as it is, on its own input: what every form of the network here is proven against."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from edgetl.backends.failures import one_line
from edgetl.errors import WeightsError
from edgetl.imported.absorb import GRAY
from edgetl.imported.normal_form import without_softmax
from edgetl.imported.read import Opened
from edgetl.recipes.network import Normalization

Pixels = NDArray[np.uint8]


class Original:
    """The file on ONNX Runtime, up to the logits. Raises WeightsError for an operator that it does not have."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        model = onnx.ModelProto()
        model.CopyFrom(opened.model)
        without_softmax(model, opened)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's own classes have no common base
            raise WeightsError(f"{opened.path}: ONNX Runtime does not take the network: {one_line(error)}") from error

    def scores(self, pixels: Pixels, how: Normalization) -> NDArray[np.float32]:
        """The logits, float32 (N, ...), for uint8 (N, H, W, 3) RGB. Raises WeightsError if the run fails."""
        given = _given(pixels, how, self._opened)
        size = self._opened.batch
        if size is None:
            return self._run(given)
        rows = []
        for start in range(0, len(given), size):
            part = given[start : start + size]
            filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
            rows.append(self._run(filled)[: len(part)])
        return np.concatenate(rows)

    def over(self, batches: Iterable[Pixels], how: Normalization) -> NDArray[np.float32]:
        """`scores` of several batches."""
        return np.concatenate([self.scores(batch, how) for batch in batches])

    def _run(self, given: NDArray[Any]) -> NDArray[np.float32]:
        try:
            (found,) = self._session.run(None, {self._opened.input_name: given})
        except Exception as error:  # the runtime's own classes have no common base
            raise WeightsError(f"{self._opened.path}: the network does not run: {one_line(error)}") from error
        return np.asarray(found, np.float32)


def _given(pixels: Pixels, how: Normalization, opened: Opened) -> NDArray[Any]:
    """What the network itself takes, with its layout and its order of colors."""
    ordered: NDArray[Any] = pixels[..., ::-1] if how.color == "bgr" else pixels
    if opened.channels == 1:
        normal = (ordered @ np.array(GRAY) / how.scale - how.mean[0]) / how.std[0]
        ordered = normal.astype(np.float32)[..., None]
    elif not opened.takes_bytes:
        normal = (ordered.astype(np.float64) / how.scale - np.array(how.mean)) / np.array(how.std)
        ordered = normal.astype(np.float32)
    return np.ascontiguousarray(ordered.transpose(0, 3, 1, 2) if opened.layout == "nchw" else ordered)
