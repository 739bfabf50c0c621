"""Proves that the exported ONNX model equals the torch network, on real images, with onnxruntime computing each node
literally."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgetl.errors import ParityError
from edgetl.pivot.pivot import Parity
from edgetl.types import INPUT_NAME, OUTPUT_NAME

# Float differs by the order of sums only. In INT8 a difference in the last bit moves a value across a rounding tie, and
# the step travels on: 3 to 5 % of the largest logit on a trained MobileNetV2 (docs/decisions/0005-pivot-numerics.md).
# float16 keeps 11 bits of every value, and some fifty layers add their rounding up.
FLOAT_RELATIVE, HALF_RELATIVE = 1e-3, 2e-2
INT8_RELATIVE, INT8_MOST_RELATIVE = 0.10, 0.25
INT8_MIN_AGREEMENT = 0.95
_RELATIVE = {"int8": INT8_RELATIVE, "float16": HALF_RELATIVE, "float32": FLOAT_RELATIVE}


def open_literal(model: bytes) -> onnxruntime.InferenceSession:
    """A session that computes Q/DQ as written, without INT8 kernels: the same on every CPU."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def infer(session: onnxruntime.InferenceSession, batches: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Logits float32 (N, classes) of uint8 (n, H, W, 3) batches."""
    results: Iterator[NDArray[np.float32]] = (session.run([OUTPUT_NAME], {INPUT_NAME: batch})[0] for batch in batches)
    return np.concatenate(list(results))


def compare(
    found: NDArray[np.float32],
    expected: NDArray[np.float32],
    *,
    precision: Literal["int8", "float16", "float32"],
    where: str,
    exact: NDArray[np.float32] | None = None,
) -> Parity:
    """Compare ONNX logits with torch logits, float32 (images, classes) both.

    exact  the float network's logits on the same images. Two computations of one INT8 network that break rounding
           ties differently are two draws of its rounding error, so they may differ by as much as rounding moved
           `expected` away from these, up to a quarter of the largest logit.
    Images whose two best classes are closer than twice the tolerance may swap them; all others must agree. Of integers
    no more than 5 % of all may, or one where there are fewer than 20.

    raises  ParityError with the numbers, the model and what to do.
    """
    if found.shape != expected.shape:
        raise ParityError(f"{where}: expected logits of shape {expected.shape}, found {found.shape}; export again")
    largest = float(np.abs(expected).max())
    integer = precision == "int8"
    tolerance = max(largest, 1.0) * _RELATIVE[precision]
    if exact is not None:
        rounding = float(np.abs(expected - exact).max())
        tolerance = max(tolerance, min(rounding, max(largest, 1.0) * INT8_MOST_RELATIVE))
    difference = float(np.abs(found - expected).max())
    same = found.argmax(1) == expected.argmax(1)
    agreement = float(same.mean())
    ordered = np.sort(expected, axis=1)
    decided = ordered[:, -1] - ordered[:, -2] > 2 * tolerance if expected.shape[1] > 1 else np.ones(len(same), bool)
    wrong = int(np.sum(decided & ~same))
    too_many = integer and np.sum(~same) > max(1, (1 - INT8_MIN_AGREEMENT) * len(same))
    if not difference <= tolerance or wrong or too_many:
        raise ParityError(
            f"{where}: the ONNX model differs from the torch network on {len(found)} images: logits differ by up to "
            f"{difference:.3g} (allowed {tolerance:.3g}, largest logit {largest:.3g}), top-1 agrees on "
            f"{100 * agreement:.1f} %; quantize or export again, or report this backbone"
        )
    return Parity(images=len(found), max_abs_diff=difference, top1_agreement=agreement, tolerance=tolerance)
