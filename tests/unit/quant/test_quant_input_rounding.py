from __future__ import annotations

import numpy as np
import pytest

from edgetl.fronts.image.normalize import affine
from edgetl.quant.input_rounding import input_parameters
from edgetl.quant.observers import IntegerType
from edgetl.types import ImagePreprocessing

HALVES = ImagePreprocessing(4, 4, "squash", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
IMAGENET = ImagePreprocessing(4, 4, "squash", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PLAIN = ImagePreprocessing(4, 4, "squash", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
U8 = IntegerType(0, 255, symmetric=False)
S8 = IntegerType(-128, 127, symmetric=True)
U8_SYMMETRIC = IntegerType(0, 255, symmetric=True)


def _steps(p: ImagePreprocessing, scale: float) -> np.ndarray:
    factor, offset = affine(p)
    result: np.ndarray = (np.arange(256)[:, None] * factor.astype(np.float64) + offset) / scale
    return result


@pytest.mark.parametrize("p", [HALVES, IMAGENET, PLAIN], ids=["halves", "imagenet", "plain"])
@pytest.mark.parametrize("integers", [U8, S8, U8_SYMMETRIC], ids=["uint8", "int8", "symmetric uint8"])
def test_no_byte_value_lies_on_a_rounding_tie(p: ImagePreprocessing, integers: IntegerType) -> None:
    scale, _ = input_parameters(p, integers)
    steps = _steps(p, scale)
    assert np.abs(steps - np.floor(steps) - 0.5).min() > 1e-4


@pytest.mark.parametrize("p", [HALVES, IMAGENET, PLAIN], ids=["halves", "imagenet", "plain"])
@pytest.mark.parametrize("integers", [U8, S8, U8_SYMMETRIC], ids=["uint8", "int8", "symmetric uint8"])
def test_black_and_white_are_both_within_reach(p: ImagePreprocessing, integers: IntegerType) -> None:
    scale, zero_point = input_parameters(p, integers)
    q = np.rint(_steps(p, scale)) + zero_point
    assert integers.low <= q.min()
    assert q.max() <= integers.high
    assert q.max() - q.min() > 230 or integers.symmetric  # nearly all of the type is used


def test_the_tightest_scale_would_put_mean_and_std_of_a_half_on_ties() -> None:
    scale, _ = U8.parameters((-1.0, 1.0))
    steps = _steps(HALVES, scale)
    assert np.abs(steps - np.floor(steps) - 0.5).max() < 1e-4


@pytest.mark.parametrize("p", [HALVES, IMAGENET, PLAIN], ids=["halves", "imagenet", "plain"])
def test_symmetric_bytes_have_their_zero_point_in_the_middle_whatever_the_mean(p: ImagePreprocessing) -> None:
    assert input_parameters(p, U8_SYMMETRIC)[1] == 128
