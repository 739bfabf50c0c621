"""The pictures of `coco_samples` through a detector, and its average precision as pycocotools has it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgetl.fronts.image.decode import decode
from edgetl.fronts.image.normalize import normalize
from edgetl.fronts.image.resize import resize
from edgetl.tasks.detection.detections import Detections, Postprocess
from edgetl.tasks.detection.postprocess import postprocess
from edgetl.types import ImagePreprocessing
from edgetl.types.frames import frame_of

Floats = NDArray[np.float32]
Network = Callable[[Floats], tuple[Floats, Floats]]
"""Normalized images (N, 3, H, W) -> boxes (N, A, 4), scores (N, A, C)."""

COCO_80 = tuple(i for i in range(1, 91) if i not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83))
"""The category of each of the 80 classes that COCO has boxes of."""


def pictures(shared: Path, part: str = "val2017") -> list[tuple[int, Path]]:
    """Identity and file of the 50 pictures of a part."""
    folder = shared / "data" / "coco_samples"
    images = json.loads((folder / f"{part}.json").read_text(encoding="utf-8"))["images"]
    return [(image["id"], folder / part / image["file_name"]) for image in images]


def inputs(paths: Sequence[Path], p: ImagePreprocessing) -> Floats:
    """float32 (N, 3, H, W), as the network takes it."""
    images = normalize(np.stack([resize(decode(path), p) for path in paths]), p)
    return np.ascontiguousarray(images)


def average_precision(
    shared: Path, network: Network, p: ImagePreprocessing, settings: Postprocess, categories: Sequence[int]
) -> float:
    """mAP50-95 in percent over the 50 pictures; categories  COCO's number of each class of the network."""
    rows: list[dict[str, Any]] = []
    for identity, path in pictures(shared):
        boxes, scores = network(inputs([path], p))
        height, width, _ = decode(path).shape
        frame = frame_of(height, width, p)
        rows += _rows(identity, postprocess(boxes, scores, [frame], settings)[0], categories)
    with redirect_stdout(io.StringIO()):
        truth = COCO(str(shared / "data" / "coco_samples" / "val2017.json"))
        judged = COCOeval(truth, truth.loadRes(rows), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return 100 * float(judged.stats[0])


def _rows(identity: int, found: Detections, categories: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": identity,
            "category_id": categories[label],
            "score": float(score),
            "bbox": [float(x0), float(y0), float(x1 - x0), float(y1 - y0)],
        }
        for (x0, y0, x1, y1), score, label in zip(found.boxes, found.scores, found.labels, strict=True)
    ]
