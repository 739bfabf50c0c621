"""Summarizes how a detector was adapted, in a few lines and as JSON."""

from __future__ import annotations

from typing import Any

from edgetl.adapt.detection.record import DetectorAdaptation
from edgetl.store.documents import as_json


def summary(record: DetectorAdaptation) -> dict[str, Any]:
    """utility and score_threshold are of held-out shots; None if nothing could be held out."""
    chosen = record.chosen
    return {
        "task": record.task,
        "family": record.family,
        "chosen": chosen.name,
        "setting": chosen.setting,
        "held_out_images": chosen.images,
        "utility": as_json(chosen.utility) if chosen.utility else None,
        "score_threshold": record.score_threshold,
        "reason": record.reason,
        "guards": [as_json(guard) for guard in record.guards],
    }


def lines(record: DetectorAdaptation) -> list[str]:
    """The same as text, without the guards."""
    chosen, found = record.chosen, record.chosen.utility
    held_out = "not measured, because nothing could be held out"
    if found is not None:
        held_out = (
            f"utility {found.value:.3f} ({found.low:.3f} to {found.high:.3f}) on {chosen.images} shots, each with "
            "networks not trained on it: F1 of an image, mean over overlaps from 0.5 to 0.95"
        )
    elif chosen.state != "judged" and record.folds:
        held_out = f"not measured: {chosen.state}"
    return [f"chosen:   {record.family}, {chosen.name}: {chosen.setting}", f"held-out: {held_out}"]
