"""Whether a network's values fit float16, from observations on real images. Torch-free."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

LARGEST_FLOAT16 = 65504.0
"""Largest finite number of IEEE 754-2019 binary16."""
HEADROOM = 2.0
"""Required factor below it, because other images may give larger values."""


class HalfRange(BaseModel):
    """The largest magnitude of any float32 value inside the network on `images` real ones; `tensor` is where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    largest: Annotated[float, Field(ge=0)]
    tensor: str
    images: Annotated[int, Field(ge=1)]

    @property
    def fits(self) -> bool:
        """Whether the network can run in float16."""
        return self.largest * HEADROOM <= LARGEST_FLOAT16

    def explain(self) -> str:
        """One sentence about it."""
        seen = f"On {self.images} shots no value inside the network exceeds {self.largest:,.0f} (`{self.tensor}`)"
        if self.fits:
            return f"{seen}; float16 goes up to {LARGEST_FLOAT16:,.0f}."
        return (
            f"{seen}; float16 goes up to {LARGEST_FLOAT16:,.0f}, but {HEADROOM:g} times the observed value must fit: "
            "there is no float16 build."
        )
