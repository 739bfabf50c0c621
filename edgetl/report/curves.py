"""Windows of series as the page shows them: a curve for each channel."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgetl.errors import DataError
from edgetl.fronts.series.load import read_window
from edgetl.report.pictures import Look

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDTH, _HEIGHT, _MARGIN = 240, 120, 6
_CHANNELS, _POINTS = 6, 240
# of equal lightness, far apart for every kind of color vision (P. Tol, "Colour schemes", 2021, bright)
_COLORS = ("#4477aa", "#ee6677", "#228833", "#aa8800", "#66ccee", "#aa3377")


def look_at_window(path: Path) -> Look:
    """Empty if the window can no longer be read."""
    try:
        window = read_window(path)
    except DataError:
        return Look("")
    channels = window.shape[1]
    length = f"{len(window)} steps" + (
        f", the first {_CHANNELS} of {channels} channels" if channels > _CHANNELS else ""
    )
    svg = curves(window)
    return Look("data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii"), length=length)


def curves(window: NDArray[np.float32]) -> str:
    """An SVG with one lane for each of the first six channels of (steps, channels), each from its lowest to its highest
    value; a constant channel is a straight line in the middle."""
    shown = window[np.unique(np.linspace(0, len(window) - 1, min(len(window), _POINTS)).astype(int)), :_CHANNELS]
    count = shown.shape[1]
    lane = (_HEIGHT - _MARGIN) / count
    x = np.linspace(_MARGIN, _WIDTH - _MARGIN, len(shown)) if len(shown) > 1 else np.array([_WIDTH / 2])
    lines = []
    for number, values in enumerate(shown.T.astype(np.float64)):
        low, high = float(values.min()), float(values.max())
        share = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
        y = _MARGIN + lane * number + (lane - _MARGIN) * (1 - share)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="{_COLORS[number]}" stroke-width="1.5" '
            'stroke-linejoin="round"/>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}">{"".join(lines)}</svg>'
    )
