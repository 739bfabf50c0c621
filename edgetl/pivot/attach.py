"""Puts into the graph what each front computes after its files are read."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from edgetl.pivot.attach_audio import attach_audio
from edgetl.pivot.attach_series import attach_series
from edgetl.pivot.attach_text import attach_text
from edgetl.pivot.preprocess import attach_image
from edgetl.types import AudioPreprocessing, Preprocessing, SeriesPreprocessing, TextPreprocessing, as_image


def attach(model: onnx.ModelProto, p: Preprocessing, labels: Sequence[str]) -> onnx.ModelProto:
    """A copy of the network whose input is `p.port`, with labels and preprocessing in its metadata."""
    if isinstance(p, AudioPreprocessing):
        return attach_audio(model, p, labels)
    if isinstance(p, TextPreprocessing):
        return attach_text(model, p, labels)
    if isinstance(p, SeriesPreprocessing):
        return attach_series(model, p, labels)
    return attach_image(model, as_image(p), labels)
