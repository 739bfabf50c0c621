"""Which operators of an ONNX graph multiply and accumulate, and which convolutions are depthwise. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

Kind = Literal["convolution", "linear"]

COMPUTE: Mapping[str, Kind] = {"Conv": "convolution", "Gemm": "linear", "MatMul": "linear"}


def is_depthwise(weight_shape: Sequence[int], groups: int) -> bool:
    """Whether every output channel of a convolution reads an input channel of its own.

    weight_shape  (O, C / groups, ...)
    """
    outputs, per_group = weight_shape[:2]
    return per_group == 1 and outputs == groups
