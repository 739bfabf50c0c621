"""`objects_tool`, the C++ half's postprocess behind a pipe, and random work for it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgetl.tasks.detection.detections import Detections, Postprocess
from edgetl.types import ImagePreprocessing
from edgetl.types.frames import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_RECORD = np.dtype([("box", "<f4", 4), ("score", "<f4"), ("label", "<i4")])


class ObjectsTool:
    """One process that answers one command after the other."""

    def __init__(self, program: Path, emulator: Sequence[str | Path] = ()) -> None:
        self._process = subprocess.Popen([*emulator, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def frame(self, height: int, width: int, p: ImagePreprocessing) -> Frame:
        words = (width, height, p.resize, p.height, p.width, float(p.crop_pct).hex())
        return Frame(height, width, *map(int, self._ask("frame " + " ".join(map(str, words)), b"")))

    def objects(self, boxes: Floats, scores: Floats, frame: Frame, settings: Postprocess) -> Detections:
        """boxes (A, 4), scores (A, C)"""
        (count,) = self._ask(f"objects {_words(scores, frame, settings)}", boxes.tobytes() + scores.tobytes())
        assert self._process.stdout is not None
        found = np.frombuffer(self._process.stdout.read(int(count) * _RECORD.itemsize), _RECORD)
        return Detections(found["box"], found["score"], found["label"].astype(np.int64))

    def median_us(self, rounds: int, boxes: Floats, scores: Floats, frame: Frame, settings: Postprocess) -> float:
        line = f"time {rounds} {_words(scores, frame, settings)}"
        (median,) = self._ask(line, boxes.tobytes() + scores.tobytes())
        return float(median)

    def close(self) -> None:
        self._process.communicate()

    def _ask(self, command: str, data: bytes) -> list[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command.encode() + b"\n" + data)
        self._process.stdin.flush()
        ok, *words = self._process.stdout.readline().decode().split()
        assert ok == "ok"
        return words


def _words(scores: Floats, frame: Frame, settings: Postprocess) -> str:
    thresholds = [float(value).hex() for value in (settings.score_threshold, settings.iou_threshold)]
    limits = (settings.max_candidates, settings.max_detections)
    place = (frame.height, frame.width, frame.rows, frame.columns, frame.top, frame.left)
    return " ".join(map(str, (*scores.shape, *thresholds, *limits, *place)))


def random_outputs(rng: np.random.Generator, anchors: int, classes: int) -> tuple[Floats, Floats]:
    """Boxes in heaps, with ties, and with what a broken network gives: inverted, empty, huge and not finite."""
    heaps = rng.uniform(0, 300, (max(1, anchors // 20), 2))
    middle = heaps[rng.integers(0, len(heaps), anchors)] + rng.normal(0, 8, (anchors, 2))
    size = rng.uniform(1, 80, (anchors, 2))
    boxes = np.concatenate([middle - size / 2, middle + size / 2], axis=1).astype(np.float32)
    scores = rng.uniform(0, 1, (anchors, classes)).astype(np.float32) ** np.float32(rng.choice([1, 6]))
    if rng.random() < 0.5:
        boxes, scores = np.round(boxes), np.round(scores * 30) / np.float32(30)
    odd = rng.random(anchors)
    boxes[odd < 0.02] = boxes[odd < 0.02][:, ::-1]
    boxes[(odd > 0.02) & (odd < 0.04), 2] = boxes[(odd > 0.02) & (odd < 0.04), 0]
    boxes[(odd > 0.04) & (odd < 0.06)] *= np.float32(1e30)
    boxes[(odd > 0.06) & (odd < 0.07), 1] = rng.choice(np.array([np.nan, np.inf, -np.inf, -0.0], np.float32))
    scores[(odd > 0.07) & (odd < 0.09)] = rng.choice(np.array([np.nan, np.inf, -np.inf, 1.0], np.float32))
    return boxes, scores.astype(np.float32)


def random_settings(rng: np.random.Generator) -> Postprocess:
    return Postprocess(
        "detection",
        float(rng.choice([0.0, 0.01, 0.25, float(rng.uniform(0, 1)), 1.0])),
        float(rng.choice([0.0, 0.45, 0.5, 0.6, float(rng.uniform(0, 1)), 1.0])),
        int(rng.choice([1, 10, 1000, int(rng.integers(1, 10_001))])),
        int(rng.choice([1, 100, int(rng.integers(1, 1001))])),
    )


def assert_same_bits(found: Detections, expected: Detections, what: str) -> None:
    for name in ("boxes", "scores", "labels"):
        a, b = getattr(found, name), getattr(expected, name)
        assert a.shape == b.shape, f"{what}: {name}: {a.shape}, not {b.shape}"
        assert a.tobytes() == b.tobytes(), f"{what}: {name} differ first at {np.argwhere(a != b)[:1]}"
