"""The record of an adapt stage, of a classifier or a detector. Torch-free."""

from __future__ import annotations

import json
from pathlib import Path

from edgetl.adapt.detection.record import DetectorAdaptRecord, read_detector_adapt
from edgetl.adapt.record import ADAPT_FILE, AdaptRecord, read_adapt


def read_adaptation(folder: Path) -> AdaptRecord | DetectorAdaptRecord:
    """Read the record in the folder of an adapt stage, with its times. Raises EdgetlError."""
    return read_detector_adapt(folder) if _of_detector(folder) else read_adapt(folder)


def _of_detector(folder: Path) -> bool:
    try:
        content = json.loads((folder / ADAPT_FILE).read_bytes())
    except (OSError, ValueError):
        return False  # the reader says what is wrong
    return isinstance(content, dict) and content.get("task") == "detection"
