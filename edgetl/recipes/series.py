"""The section of a recipe for `front: series`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgetl.recipes.section import Section


class Series(Section):
    """The windows of sensor channels that the network sees, for `front: series`."""

    steps: Literal["auto"] | Annotated[int, Field(ge=4, le=65_536)] = "auto"
    """Moments that the network sees at once. A longer window is cut to its beginning, a shorter one stays at its last
    moment. auto: the longest of the shots, at most 4096."""
