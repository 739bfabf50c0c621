"""How far logits are from the expected ones: whether an exported model is its torch network, and by how much another
computation of it differs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import ParityError
from edgetl.tasks.base import Closeness
from edgetl.types import ModelKind

# Float differs by the order of sums only. In INT8 a difference in the last bit moves a value across a rounding tie, and
# the step travels on: 3 to 5 % of the largest logit on a trained MobileNetV2 (docs/decisions/0005-pivot-numerics.md).
# float16 keeps 11 bits of every value, and some fifty layers add their rounding up.
FLOAT_RELATIVE, HALF_RELATIVE = 1e-3, 2e-2
INT8_RELATIVE, INT8_MOST_RELATIVE = 0.10, 0.25
INT8_MIN_AGREEMENT = 0.95
_RELATIVE: dict[ModelKind, float] = {
    "int8": INT8_RELATIVE,
    "mixed": INT8_RELATIVE,
    "float16": HALF_RELATIVE,
    "float32": FLOAT_RELATIVE,
}
_LEAST = 1e-30  # instead of zero, for divisions


def compare(
    found: NDArray[np.float32],
    expected: NDArray[np.float32],
    *,
    kind: ModelKind,
    where: str,
    exact: NDArray[np.float32] | None = None,
) -> Closeness:
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
    integer = kind in ("int8", "mixed")
    tolerance = max(largest, 1.0) * _RELATIVE[kind]
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
            f"{where}: the ONNX model differs from the torch network on {len(found)} examples: logits differ by up to "
            f"{difference:.3g} (allowed {tolerance:.3g}, largest logit {largest:.3g}), top-1 agrees on "
            f"{100 * agreement:.1f} %; quantize or export again, or report this backbone"
        )
    return Closeness(difference, tolerance, agreement)


def distance(found: NDArray[np.float32], expected: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,): root mean square of the differences over an example's logits, as a share of the range of all `expected`.

    found, expected  (N, C). Raises ValueError if the shapes differ or are empty.
    """
    if expected.shape != found.shape or expected.size == 0:
        raise ValueError(f"expected logits of one shape (N, C); found {expected.shape} and {found.shape}")
    difference = expected.astype(np.float64) - found
    extent = float(expected.max()) - float(expected.min())
    rms: NDArray[np.float64] = np.sqrt(np.mean(difference * difference, axis=1)) / max(extent, _LEAST)
    return rms
