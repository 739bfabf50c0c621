"""What the tasks measure, as records in files: one kind for each task."""

from __future__ import annotations

from edgetl.tasks.classification.accuracy import Accuracy
from edgetl.tasks.detection.scores import DetectionScores
from edgetl.tasks.heads.scores import HeadScores

QualityRecord = Accuracy | DetectionScores | HeadScores
"""All have what `edgetl.types.measured.Quality` names."""
