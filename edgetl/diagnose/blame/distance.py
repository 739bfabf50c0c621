"""Distance of quantized from float values: SQNR of a layer's output, RMS of the network's outputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAST = 1e-30  # instead of zero, for divisions

Array = NDArray[np.floating[Any]]


def energies(reference: Array, found: Array) -> NDArray[np.float64]:
    """(2,) float64: sum of x**2 and of (x - y)**2, x `reference` and y `found` of one shape. Add them over batches."""
    signal = reference.astype(np.float64)
    noise = signal - found
    return np.array([np.sum(signal * signal), np.sum(noise * noise)])


def sqnr_db(signal: float, noise: float) -> float | None:
    """Signal-to-quantization-noise ratio 10 log10(sum x**2 / sum (x - y)**2) in dB; None without any noise.

    Source: Lin, Talathi and Annapureddy 2016, "Fixed Point Quantization of Deep Convolutional Networks",
    arXiv:1511.06393, section 3. One more bit is worth 6 dB; 0 dB means that the error is as large as the signal.
    """
    if noise == 0:
        return None
    return 10 * math.log10(max(signal, _LEAST) / noise)


def root_mean_square(distances: NDArray[np.float64]) -> float:
    """Of the distances (N,) of the images, as `Task.distance` gives them: the error of a network's outputs, a share of
    their spread."""
    return math.sqrt(float(np.mean(distances * distances)))
