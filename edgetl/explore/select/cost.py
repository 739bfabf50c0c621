"""What one image costs a network whatever it runs on: multiply-accumulates, counted from its ONNX graph."""

from __future__ import annotations

import onnx

from edgetl.pivot.macs import macs_by_output


def count_macs(model: onnx.ModelProto) -> int:
    """Multiply-accumulates of the convolutions and matrix products for a batch of one.

    Products whose shapes cannot be inferred are left out, so the count is a lower bound there.
    """
    return sum(macs_by_output(model).values())
