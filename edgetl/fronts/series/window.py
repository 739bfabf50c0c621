"""A window of any length -> exactly the steps that the network sees. The C++ runtime repeats `fitted` to the bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgetl.fronts.base import Unreadable

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_STEPS = 1 << 20
MAX_CHANNELS = 4096


class UnreadableWindow(Unreadable):
    """A file or a row that is not a window of numbers, or a broken one."""

    expected = "a window"


def fitted(window: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """(n, channels) -> (steps, channels), a copy: the beginning of a longer one; a shorter one stays at its last
    time step."""
    kept = window[:steps]
    return np.concatenate([kept, np.repeat(kept[-1:], steps - len(kept), axis=0)])


def checked(values: NDArray[np.generic], where: str) -> NDArray[np.float32]:
    """Numbers as a window, float32 (n, channels); of one dimension: a single channel. Raises UnreadableWindow."""
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
        raise UnreadableWindow(where, f"expected numbers (steps, channels), found {values.dtype} {values.shape}")
    steps, channels = values.shape
    if not steps or not channels:
        raise UnreadableWindow(where, "it is empty")
    if steps > MAX_STEPS or channels > MAX_CHANNELS:
        most = f"at most {MAX_STEPS} steps of {MAX_CHANNELS} channels"
        raise UnreadableWindow(where, f"expected {most}, found {steps} of {channels}")
    with np.errstate(over="ignore"):
        window = np.ascontiguousarray(values, np.float32)
    bad = np.argwhere(~np.isfinite(window))
    if len(bad):
        step, channel = bad[0]
        kind = "is not a number" if np.isnan(window[step, channel]) else "is infinite"
        more = f", as are {len(bad) - 1} more" if len(bad) > 1 else ""
        raise UnreadableWindow(
            where, f"the value of channel {channel + 1} at step {step + 1} {kind}{more}; fill or cut gaps first"
        )
    return window
