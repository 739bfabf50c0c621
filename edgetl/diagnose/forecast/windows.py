"""Unfolds a convolution's input in the order in which ONNX Runtime multiplies it.

Its kernels work on channels last: along K, all channels of a group at the first kernel position come first, then all
channels at the next one. This order determines the pairs: two channels of one position or, with an odd number of
channels, the last of one position and the first of the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Window:
    """A two-dimensional convolution. pads: top, left, bottom, right, in pixels; the others: rows, columns."""

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the output for an input of `height` x `width` pixels."""
        top, left, bottom, right = self.pads
        rows = height + top + bottom - self.dilations[0] * (self.kernel[0] - 1) - 1
        columns = width + left + right - self.dilations[1] * (self.kernel[1] - 1) - 1
        return rows // self.strides[0] + 1, columns // self.strides[1] + 1


def unfold(image: NDArray[np.uint8], window: Window, zero_point: int) -> NDArray[np.uint8]:
    """(C, H, W) uint8 -> (groups, K, positions) uint8, K = kernel rows x kernel columns x channels of a group.

    Pixels outside the image have the zero point, which represents 0.0.
    """
    channels, height, width = image.shape
    rows, columns = window.output_size(height, width)
    top, left, bottom, right = window.pads
    padded = np.pad(image, ((0, 0), (top, bottom), (left, right)), constant_values=zero_point)
    groups = window.groups
    found = np.empty((groups, *window.kernel, channels // groups, rows, columns), np.uint8)
    for p in range(window.kernel[0]):
        for q in range(window.kernel[1]):
            y, x = p * window.dilations[0], q * window.dilations[1]
            picked = padded[:, y : y + window.strides[0] * rows, x : x + window.strides[1] * columns]
            strided = picked[:, :: window.strides[0], :: window.strides[1]]
            found[:, p, q] = strided.reshape(groups, channels // groups, rows, columns)
    return found.reshape(groups, -1, rows * columns)


def weight_rows(weights: NDArray[np.int8], groups: int) -> NDArray[np.int8]:
    """(O, C / groups, kernel rows, kernel columns) int8 -> (groups, O / groups, K) int8, K as in `unfold`."""
    outputs = weights.shape[0]
    return np.ascontiguousarray(weights.transpose(0, 2, 3, 1)).reshape(groups, outputs // groups, -1)
