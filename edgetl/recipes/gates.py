"""The gates of a recipe: limits that a bundle must meet."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from edgetl.recipes.section import Section, is_none


class HeadGates(Section):
    """Limits of one of several heads, in place of the common ones."""

    max_drop_points: Annotated[float, Field(ge=0)] | None = None
    """Largest loss of its top-1 against the float network, in percentage points, on the same images."""
    min_score: Annotated[float, Field(ge=0, le=1)] | None = None
    """Lowest top-1 of this head, as a fraction."""


class Gates(Section):
    """Limits that a bundle must meet; a missed gate ends `edgetl build` with exit code 3."""

    max_drop_points: Annotated[float, Field(ge=0)] | None = 1.0
    """Largest loss of the task's metric (top-1, AP) against the float network, in percentage points, on the same
    images."""
    min_score: Annotated[float, Field(ge=0, le=1)] | None = None
    """Lowest value of the task's metric (top-1, AP), as a fraction."""
    min_top1: Annotated[float, Field(ge=0, le=1)] | None = None
    """The same, by its name for classification."""
    min_recall: dict[str, Annotated[float, Field(ge=0, le=1)]] | None = None
    """Lowest recall of single classes, as fractions: `{defect: 0.95}`."""
    max_recall_drop_points: Annotated[float, Field(ge=0)] | None = None
    """Largest loss of recall of any class against the float network, in percentage points, on the same images."""
    max_p99_ms: Annotated[float, Field(gt=0)] | None = None
    """Largest p99 latency of one image."""
    max_size_bytes: Annotated[int, Field(gt=0)] | None = None
    """Largest model size on disk."""
    max_float_layers: Annotated[int, Field(ge=0)] | None = None
    """Largest number of convolutions and matrix products of an INT8 build that its runtime computes in float."""
    max_conversions: Annotated[int, Field(ge=0)] | None = None
    """Largest number of operators of an INT8 build that only convert between float and INT8. 2 are the network's
    ends."""
    heads: dict[str, HeadGates] | None = Field(default=None, exclude_if=is_none)
    """With `data.labels`: limits of single heads, by name: `{surface: {min_score: 0.9}}`. The other limits on accuracy
    hold for every head that has none of its own here: each head must pass."""

    @model_validator(mode="after")
    def _one_lowest_score(self) -> Gates:
        if self.min_score is not None and self.min_top1 is not None:
            raise ValueError("min_score and min_top1 are one limit; keep one of them")
        return self

    @property
    def least_score(self) -> float | None:
        """The lowest value of the task's metric, by either name."""
        return self.min_top1 if self.min_score is None else self.min_score

    @property
    def score_key(self) -> str:
        """The name that `least_score` was given by."""
        return "min_top1" if self.min_score is None else "min_score"

    def without_score(self) -> Gates:
        """The others."""
        return self.model_copy(update={"min_score": None, "min_top1": None})

    def of_head(self, name: str) -> Gates:
        """Those that one of several heads must meet: its own limits, else the common ones."""
        own = (self.heads or {}).get(name, HeadGates())
        changed: dict[str, Any] = {"heads": None}
        if own.max_drop_points is not None:
            changed |= {"max_drop_points": own.max_drop_points}
        if own.min_score is not None:
            changed |= {"min_score": own.min_score, "min_top1": None}
        return self.model_copy(update=changed)
