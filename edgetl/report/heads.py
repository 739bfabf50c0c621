"""What report.json says of single heads, if there are several."""

from __future__ import annotations

from edgetl.files.json_file import TolerantModel


class HeadScore(TolerantModel):
    """One of several heads, on the examples that are labeled for it."""

    head: str
    images: int
    score: float
    """Its top-1."""
    score_low: float
    score_high: float
    macro_f1: float
    macro_f1_low: float
    macro_f1_high: float
    drop_points: float
    """Top-1 of the float network's head minus this one's, paired."""
    drop_points_low: float
    drop_points_high: float
    agreement: float
