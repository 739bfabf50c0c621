"""A clip of any length -> exactly the samples that the network hears. The C++ runtime repeats `centered` to the bit.

A clip of n samples, a window of s: if n >= s, keep s samples from (n - s) // 2, else the clip begins at (s - n) // 2
and the rest is zero. `//` rounds down: of an odd difference the smaller half comes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

USUAL_S = 1.0
"""Seconds of the window of most networks for words, if the recipe does not say."""


def centered(clip: NDArray[np.int16], samples: int) -> NDArray[np.int16]:
    """(n,) -> (samples,), a copy."""
    result = np.zeros(samples, np.int16)
    spare = len(clip) - samples
    if spare >= 0:
        result[:] = clip[spare // 2 : spare // 2 + samples]
    else:
        result[-spare // 2 : -spare // 2 + len(clip)] = clip
    return result
