"""Which place of one computation shows what a place of another does: in two-stage networks the order of places depends
on the scores of regions, so small differences exchange them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SAME = 0.5  # overlap (IoU) of two boxes, from which on a place is its own partner

Floats = NDArray[np.float64]


def partners(boxes: Floats, others: Floats, asked: NDArray[np.bool_], offered: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N, A): for each place of `boxes` (N, A, 4) the place of `others` (N, A, 4) that shows the same object.

    asked, offered  (N, A): places with an object; all others are their own partners, as are places whose boxes overlap
                    by half. The others' partner is the offered one with the largest overlap, if that is larger.
    """
    found = np.tile(np.arange(boxes.shape[1]), (len(boxes), 1))
    own = _overlaps(boxes, others)
    for image in range(len(boxes)):
        places, choice = np.flatnonzero(asked[image] & (own[image] < _SAME)), np.flatnonzero(offered[image])
        if places.size and choice.size:
            overlaps = _overlaps(boxes[image, places][:, None], others[image, choice][None])
            better = overlaps.max(axis=1) > own[image, places]
            found[image, places[better]] = choice[overlaps.argmax(axis=1)[better]]
    return found


def _overlaps(first: Floats, second: Floats) -> Floats:
    """Intersection over union of boxes (..., 4), broadcast; 0 for boxes without area."""
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    shared = np.maximum(high - low, 0).prod(axis=-1)
    areas = [np.maximum(each[..., 2:] - each[..., :2], 0).prod(axis=-1) for each in (first, second)]
    union = areas[0] + areas[1] - shared
    overlaps: Floats = np.divide(shared, union, out=np.zeros(union.shape), where=union > 0)
    return overlaps
