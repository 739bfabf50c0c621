"""The cost of one image, independent of hardware: multiply-accumulates, counted from the ONNX graph."""

from __future__ import annotations

import onnx

from edgetl.pivot.macs import macs_by_output


def count_macs(model: onnx.ModelProto) -> int:
    """Multiply-accumulates of the convolutions and matrix products for a batch of one.

    Products whose shapes cannot be inferred are not counted, so the count may be a lower bound.
    """
    return sum(macs_by_output(model).values())
