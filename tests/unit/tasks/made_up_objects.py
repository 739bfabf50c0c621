"""Random labeled and found objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgetl.tasks.detection.detections import Detections
from edgetl.types import Box, Boxes


def random_truths(images: int, classes: int, seed: int, *, ignored: float = 0.2) -> list[Boxes]:
    """Up to seven boxes an image, with corners that are whole numbers; a share of them is ignored."""
    generator = np.random.default_rng(seed)
    return [
        tuple(
            _box(generator, int(generator.integers(classes)), bool(generator.random() < ignored))
            for _ in range(generator.integers(0, 8))
        )
        for _ in range(images)
    ]


def random_found(truths: list[Boxes], classes: int, seed: int, *, most: int = 40) -> list[Detections]:
    """Some near the truths, some anywhere; scores are multiples of 1/20, so that many are equal."""
    generator = np.random.default_rng(seed)
    found: list[Detections] = []
    for boxes in truths:
        corners: list[NDArray[np.float64]] = []
        labels: list[int] = []
        for _ in range(generator.integers(0, most)):
            near = [box for box in boxes if generator.random() < 0.5]
            if near:
                box = near[0]
                corners.append(np.array([box.x0, box.y0, box.x1, box.y1]) + generator.integers(-4, 5, 4))
                labels.append(box.label)
            else:
                corners.append(_corners(generator))
                labels.append(int(generator.integers(classes)))
        scores = np.sort(generator.integers(1, 20, len(labels)))[::-1] / 20
        found.append(detections(corners, scores.tolist(), labels))
    return found


def detections(
    corners: Sequence[Sequence[float] | NDArray[np.float64]], scores: list[float], labels: list[int]
) -> Detections:
    return Detections(
        np.array(corners, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(labels, np.int64)
    )


def _box(generator: np.random.Generator, label: int, ignore: bool) -> Box:
    x0, y0, x1, y1 = map(float, _corners(generator))
    return Box(x0, y0, x1, y1, label, ignore)


def _corners(generator: np.random.Generator) -> NDArray[np.float64]:
    x, y = generator.integers(0, 80, 2)
    w, h = generator.integers(9, 40, 2)
    return np.array([x, y, x + w, y + h], np.float64)
