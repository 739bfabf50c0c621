"""The section of a recipe for `front: text`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgetl.recipes.section import Section


class Text(Section):
    """The tokens that the network reads, for `front: text`. The tokenizer is the pretrained network's own."""

    max_tokens: Annotated[int, Field(ge=4, le=8192)] | Literal["auto"] = "auto"
    """Tokens that the network reads at most, with those that the tokenizer adds; a longer text is cut to its beginning.
    auto: as many as the longest training text has, but at least 64, and at most 512 or the network's own limit."""
    pooling: Literal["auto", "mean", "first", "last"] = "auto"
    """How the vectors of the tokens become one: their mean, that of the first token or of the last. auto: what the
    network was trained with, else the mean, for a network that reads from left to right the last."""
