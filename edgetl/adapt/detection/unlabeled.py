"""Objects that a detector finds in images it was not trained on, surely, and nobody labeled there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edgetl.adapt.detection.record import Unlabeled
from edgetl.tasks.detection.detections import Detections
from edgetl.tasks.detection.match import overlaps
from edgetl.types import Boxes, Sample

MOST = 20
_LABELED = 0.5  # overlap (IoU) from which on a found object is a labeled one
_ELSEWHERE = 0.3  # overlap below which it is not a badly drawn one either
_PART = 0.5  # share of a found object within a labeled one from which on it may be a part of that

Floats = NDArray[np.float64]


def unlabeled(samples: Sequence[Sample], found: Sequence[Detections], classes: Sequence[str]) -> tuple[Unlabeled, ...]:
    """At most 20, best score first, one at each place: apart from every labeled object of whatever class, and surer
    than the median of those that are labeled.

    found  in each sample, by networks that were not trained on it
    """
    compared = [_Compared(objects, sample.boxes) for sample, objects in zip(samples, found, strict=True)]
    sure = np.concatenate([np.zeros(0, np.float32), *(each.scores_of_labeled for each in compared)])
    if not sure.size:
        return ()
    least = float(np.median(sure))
    suspects = [
        Unlabeled(
            image=sample.path,
            label=classes[int(each.objects.labels[index])],
            score=float(each.objects.scores[index]),
            corners=(*map(float, each.objects.boxes[index]),),  # type: ignore[arg-type]
        )
        for sample, each in zip(samples, compared, strict=True)
        for index in each.apart(least)
    ]
    return tuple(sorted(suspects, key=lambda each: -each.score)[:MOST])


class _Compared:
    """The objects found in an image and how far labeled ones overlap them, both (K,): as IoU, and as a share of the
    found one."""

    def __init__(self, objects: Detections, boxes: Boxes) -> None:
        self.objects = objects
        self.corners = objects.boxes.astype(np.float64)
        truth = np.array([(box.x0, box.y0, box.x1, box.y1) for box in boxes], np.float64).reshape(-1, 4)
        ignored = np.array([box.ignore for box in boxes], np.bool_)
        self._iou = overlaps(self.corners, truth, ignored).max(axis=1, initial=0.0)
        self._share = overlaps(self.corners, truth, np.ones_like(ignored)).max(axis=1, initial=0.0)

    @property
    def scores_of_labeled(self) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = self.objects.scores[self._iou >= _LABELED]
        return scores

    def apart(self, least: float) -> Iterator[int]:
        """Those with scores above `least` that overlap no labeled object, one at each place."""
        taken: list[int] = []
        candidates = (self._iou < _ELSEWHERE) & (self._share < _PART) & (self.objects.scores > least)
        for index in np.flatnonzero(candidates):  # best score first
            own = self.corners[[int(index)]]
            if not taken or overlaps(own, self.corners[taken], np.zeros(len(taken), np.bool_)).max() < _LABELED:
                taken.append(int(index))
                yield int(index)
