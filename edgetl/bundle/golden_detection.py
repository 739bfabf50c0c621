"""The golden outputs of a detector, and how far those of another machine may be from them.

A bundle keeps the anchors with the best scores of each golden image, and the objects that postprocess makes of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from edgetl.bundle.golden_steps import GoldenExample, StepCheck, read_golden
from edgetl.bundle.manifest import Manifest
from edgetl.bundle.ports import anchors_of
from edgetl.errors import BundleError
from edgetl.tasks.detection.detections import BOXES, SCORES, Detections
from edgetl.tasks.detection.postprocess import postprocess
from edgetl.types import as_image
from edgetl.types.frames import frame_of

if TYPE_CHECKING:
    from edgetl.tasks.detection.detections import Postprocess
    from edgetl.types import Tensors
    from edgetl.types.frames import Frame

    Floats = NDArray[np.float32]

KEPT = 300
"""Anchors of an image at most."""
COMPARED = 0.05
"""A score below it in both computations is not compared."""
PLACED = 0.25
"""Only the boxes of anchors with at least this score in both are compared."""
OUTPUTS_FILE, DETECTIONS_FILE = "outputs.safetensors", "detections.safetensors"


@dataclass(frozen=True)
class Rows:
    """Anchors: boxes (K, 4) in input pixels, scores (K, C)."""

    boxes: NDArray[np.floating]
    scores: NDArray[np.floating]

    def __getitem__(self, which: Any) -> Rows:
        return Rows(self.boxes[which], self.scores[which])

    def finite(self) -> NDArray[np.bool_]:
        rows: NDArray[np.bool_] = np.isfinite(self.boxes).all(axis=1) & np.isfinite(self.scores).all(axis=1)
        return rows

    def possible(self) -> NDArray[np.bool_]:
        """Where something may be found."""
        rows: NDArray[np.bool_] = self.scores.max(axis=1) >= COMPARED
        return rows


def distance(found: Rows, golden: Rows, index: NDArray[np.int64], longer_side: int, enough: float = 0.0) -> float:
    """The largest difference of a score, or of a corner as a fraction of the input's longer side, between a golden row
    and the found one at its anchor, in both directions.

    Networks with two stages may give the same rows in another order: a row that differs by more than `enough` is
    compared with the one that is most like it.
    found    all A anchors; golden  those at `index` (K,)
    returns  infinity if a found row at `index` is not finite
    """
    if not found[index].finite().all():
        return float("inf")
    everything, expected = _exact(found[found.finite()]), _exact(golden)
    same = _exact(found[index])
    direct = _apart(same, expected, longer_side)
    largest = 0.0
    for rows, others in ((expected, everything), (same, expected)):
        partners = others[others.possible()]
        for row in np.flatnonzero(rows.possible()):
            nearest = float(direct[row])
            if nearest > enough and len(partners.scores):
                nearest = min(nearest, float(_apart(partners, rows[row : row + 1], longer_side).min()))
            largest = max(largest, nearest)
    return largest


def _exact(rows: Rows) -> Rows:
    return Rows(rows.boxes.astype(np.float64), rows.scores.astype(np.float64))


def _apart(a: Rows, b: Rows, longer_side: int) -> NDArray[np.float64]:
    """(K,): per row the larger of the two differences; `b` may be a single row."""
    counted = np.maximum(a.scores, b.scores) >= COMPARED
    scores = np.where(counted, np.abs(a.scores - b.scores), 0.0).max(axis=1)
    placed = np.minimum(a.scores.max(axis=1), b.scores.max(axis=1)) >= PLACED
    moved = np.where(placed, np.abs(a.boxes - b.boxes).max(axis=1) / longer_side, 0.0)
    return np.asarray(np.maximum(scores, moved), np.float64)


def best_anchors(scores: Floats) -> NDArray[np.int64]:
    """(K,): the anchors of scores (A, C) with the best score of any class, ties by index, in ascending order."""
    order = np.argsort(-scores.max(axis=1), kind="stable")[:KEPT]
    return np.sort(order).astype(np.int64)


def write_golden(folder: Path, boxes: Floats, scores: Floats, frames: Sequence[Frame], settings: Postprocess) -> None:
    """Keep the best anchors of boxes (n, A, 4) and scores (n, A, C), and the objects that they become."""
    index = np.stack([best_anchors(one) for one in scores])
    kept_boxes = np.take_along_axis(boxes, index[:, :, None], axis=1)
    kept_scores = np.take_along_axis(scores, index[:, :, None], axis=1)
    save_file(_contiguous({BOXES: kept_boxes, SCORES: kept_scores, "index": index}), folder / OUTPUTS_FILE)
    objects: dict[str, NDArray[np.generic]] = {}
    for at, found in enumerate(postprocess(kept_boxes, kept_scores, frames, settings)):
        objects |= {f"{at}.boxes": found.boxes, f"{at}.scores": found.scores, f"{at}.labels": found.labels}
    save_file(_contiguous(objects), folder / DETECTIONS_FILE)


def _contiguous(tensors: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    return {name: np.ascontiguousarray(values) for name, values in tensors.items()}


class Objects:
    """The golden results of a bundle. Raises BundleError if they do not fit its shapes."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        assert manifest.golden is not None
        assert manifest.postprocess is not None
        self._manifest, self._settings = manifest, manifest.postprocess
        self._allowed = manifest.golden.tolerance.max_diff_of_range
        self._detections = folder / "golden" / DETECTIONS_FILE
        path, count = folder / "golden" / OUTPUTS_FILE, manifest.golden.count
        anchors = anchors_of(manifest.signature)
        kept = (count, min(KEPT, anchors))
        self._boxes = read_golden(path, BOXES, np.float32, (*kept, 4))
        self._scores = read_golden(path, SCORES, np.float32, (*kept, len(manifest.labels)))
        self._index = read_golden(path, "index", np.int64, kept)
        if not _ascending(self._index, anchors):
            raise BundleError(f"{path}: `index`: expected ascending numbers below {anchors}; build the bundle again")

    def checks(self, index: int, example: GoldenExample, outputs: Tensors) -> Iterator[StepCheck]:
        """The steps after the input of `example`, number `index`. outputs  of all golden examples"""
        yield self._network(index, outputs)
        yield self._postprocess(index, example)

    def _network(self, index: int, outputs: Tensors) -> StepCheck:
        found = Rows(*(np.asarray(outputs[name][index], np.float32) for name in (BOXES, SCORES)))
        golden = Rows(self._boxes[index], self._scores[index])
        size = as_image(self._manifest.preprocessing)
        longer = max(size.height, size.width)
        difference = distance(found, golden, self._index[index], longer, self._allowed)
        detail = (
            "boxes or scores that are not finite"
            if np.isinf(difference)
            else f"scores and boxes differ by {100 * difference:.2f} % of their range (limit {100 * self._allowed:g} %)"
        )
        return StepCheck(index, "network", difference <= self._allowed, difference, self._allowed, detail)

    def _postprocess(self, index: int, example: GoldenExample) -> StepCheck:
        expected = self._expected(index)
        height, width = example.decoded.shape[:2]
        frame = frame_of(height, width, as_image(self._manifest.preprocessing))
        one = slice(index, index + 1)
        (found,) = postprocess(self._boxes[one], self._scores[one], [frame], self._settings)
        differing = _differing(found, expected)
        detail = f"{len(found.scores)} objects, {len(expected.scores)} expected; {differing} differ (limit 0)"
        return StepCheck(index, "postprocess", differing == 0, differing, 0, detail)

    def _expected(self, index: int) -> Detections:
        scores = read_golden(self._detections, f"{index}.scores", np.float32, None)
        if scores.ndim != 1:
            raise BundleError(f"{self._detections}: `{index}.scores`: expected float32 (k,), found {scores.shape}")
        boxes = read_golden(self._detections, f"{index}.boxes", np.float32, (len(scores), 4))
        labels = read_golden(self._detections, f"{index}.labels", np.int64, (len(scores),))
        return Detections(boxes, scores, labels)


def _ascending(index: NDArray[np.int64], anchors: int) -> bool:
    return bool((index[:, 0] >= 0).all() and (np.diff(index, axis=1) > 0).all() and (index[:, -1] < anchors).all())


def _differing(found: Detections, expected: Detections) -> int:
    """The number of objects that are not the same, counted by their places."""
    count = min(len(found.scores), len(expected.scores))
    same = (
        (found.boxes[:count] == expected.boxes[:count]).all(axis=1)
        & (found.scores[:count] == expected.scores[:count])
        & (found.labels[:count] == expected.labels[:count])
    )
    return max(len(found.scores), len(expected.scores)) - int(same.sum())
