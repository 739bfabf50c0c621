"""A convolution unfolded into a matrix product is the convolution."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.diagnose.forecast.windows import Window, unfold, weight_rows


def test_channels_of_one_position_come_before_the_next_position() -> None:
    image = np.arange(2 * 2 * 2, dtype=np.uint8).reshape(2, 2, 2)
    (columns,) = unfold(image, Window((2, 2)), 0)
    assert columns.ravel().tolist() == [0, 4, 1, 5, 2, 6, 3, 7]


def test_padding_holds_the_zero_point() -> None:
    columns = unfold(np.full((1, 1, 1), 5, np.uint8), Window((3, 3), pads=(1, 1, 1, 1)), 9)
    assert columns.ravel().tolist() == [9, 9, 9, 9, 5, 9, 9, 9, 9]


@pytest.mark.parametrize(
    "window",
    [
        Window((3, 3), pads=(1, 1, 1, 1)),
        Window((3, 2), strides=(2, 3), pads=(0, 1, 2, 1)),
        Window((2, 3), dilations=(2, 1), groups=2),
        Window((1, 1), strides=(2, 2), groups=4),
    ],
)
def test_a_matrix_product_over_windows_is_the_convolution(window: Window) -> None:
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (4, 8, 9)).astype(np.uint8)
    weights = generator.integers(-128, 128, (8, 4 // window.groups, *window.kernel)).astype(np.int8)
    columns = unfold(image, window, 0).astype(np.int64)
    found = np.concatenate(
        [w.astype(np.int64) @ c for w, c in zip(weight_rows(weights, window.groups), columns, strict=True)]
    )
    rows, width = window.output_size(8, 9)
    np.testing.assert_array_equal(found.reshape(8, rows, width), _directly(image, weights, window))


def _directly(image: np.ndarray, weights: np.ndarray, window: Window) -> np.ndarray:
    top, left, bottom, right = window.pads
    padded = np.pad(image.astype(np.int64), ((0, 0), (top, bottom), (left, right)))
    rows, columns = window.output_size(*image.shape[1:])
    found = np.zeros((len(weights), rows, columns), np.int64)
    share, per_group = weights.shape[1], len(weights) // window.groups
    for o, y, x, c, p, q in np.ndindex(len(weights), rows, columns, *weights.shape[1:]):
        channel = (o // per_group) * share + c
        row, column = y * window.strides[0] + p * window.dilations[0], x * window.strides[1] + q * window.dilations[1]
        found[o, y, x] += padded[channel, row, column] * int(weights[o, c, p, q])
    return found
