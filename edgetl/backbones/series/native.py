"""What a network for series is made for. Torch-free: names are known before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from edgetl.recipes.fronts import Series
from edgetl.types import Windows

NAMES = ("minirocket", "resnet_1d", "gru", "lstm")
"""Of edgetl's own networks for series. They need no weights: `minirocket` is not trained, the others learn from the
shots."""


@dataclass(frozen=True)
class WindowSource:
    """How windows reach a network: what the shots are like, and what the recipe says."""

    windows: Windows
    series: Series
