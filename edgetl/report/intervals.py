"""Intervals as the fields of report.json."""

from __future__ import annotations

from typing import Any

from edgetl.types import Estimate, Interval, Score


def interval(name: str, found: Interval | Estimate | None) -> dict[str, Any]:
    """`name`, `name_low` and `name_high`; nothing if it was not measured."""
    if found is None:
        return {}
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def score(name: str, found: Score | None, drop: str) -> dict[str, Any]:
    """The same of a score, and of its drop as `drop`."""
    return {} if found is None else interval(name, found.value) | interval(drop, found.drop_points)
