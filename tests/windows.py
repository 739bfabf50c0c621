"""Small files with windows of sensor channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def wave(steps: int, channels: int, seed: int) -> NDArray[np.float32]:
    """Channels of one frequency each, with noise of their own: float32 (steps, channels)."""
    draws = np.random.default_rng(seed)
    time = np.arange(steps)[:, None]
    pure = np.sin(time * (0.1 + 0.07 * np.arange(channels)) + draws.uniform(0, 6, channels))
    return (pure + 0.1 * draws.standard_normal((steps, channels))).astype(np.float32)


def long_table(path: Path, windows: list[tuple[str, str, NDArray[np.float32]]], rate_hz: float = 10) -> Path:
    """A CSV file with the columns series, label, time and one for each channel."""
    channels = windows[0][2].shape[1]
    lines = [",".join(["series", "label", "time", *(f"c{number}" for number in range(channels))])]
    for name, label, window in windows:
        for step, time_step in enumerate(window.tolist()):
            lines.append(",".join([name, label, repr(step / rate_hz), *map(repr, time_step)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
