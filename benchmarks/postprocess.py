"""Time of a detector's postprocess, from scores and boxes to objects, in C++ and in Python.

    python benchmarks/postprocess.py --program build/native/bin/objects_tool

Outputs are made up: objects with a heap of overlapping boxes around each, over a background of weak scores. `all` is
the worst case, in which every score passes the threshold. Both sides give the same objects to the bit
(tests/native/test_objects_equal_python.py), so only times are compared here.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from result_file import REPOSITORY, Result, add_write_option, deliver, machine_now, table

from edgetl.tasks.detection.detections import Postprocess
from edgetl.tasks.detection.postprocess import postprocess
from edgetl.types.frames import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

LIMIT_MS = 0.3
"""At 320 pixels in C++."""
_OBJECTS = 15  # of an image
_NEAR = 20  # anchors that see the same object
_SEED = 0


@dataclass(frozen=True)
class Case:
    """side  of the network's input, in pixels; threshold  0: every score passes"""

    side: int
    anchors: int
    classes: int
    threshold: float


@dataclass(frozen=True)
class Row:
    """Medians over the rounds of one case."""

    case: Case
    candidates: int
    objects: int
    cpp_ms: float
    python_ms: float


CASES = (
    Case(320, 2100, 3, 0.25),
    Case(320, 2100, 3, 0.01),
    Case(320, 2100, 3, 0.0),
    Case(320, 2100, 80, 0.01),
    Case(640, 8400, 80, 0.01),
)


def outputs(case: Case) -> tuple[Floats, Floats]:
    """boxes (A, 4), scores (A, C)"""
    rng = np.random.default_rng(_SEED)
    middle, size = rng.uniform(0, case.side, (case.anchors, 2)), rng.uniform(4, 60, (case.anchors, 2))
    scores = 1 / (1 + np.exp(-rng.normal(-6, 1.2, (case.anchors, case.classes))))
    for number in range(_OBJECTS):
        near = rng.choice(case.anchors, _NEAR, replace=False)
        middle[near] = rng.uniform(0, case.side, 2) + rng.normal(0, 3, (_NEAR, 2))
        size[near] = rng.uniform(15, 80, 2) + rng.normal(0, 3, (_NEAR, 2))
        scores[near, number % case.classes] = rng.uniform(0.2, 1, _NEAR)
    return np.concatenate([middle - size / 2, middle + size / 2], 1).astype(np.float32), scores.astype(np.float32)


def measure(case: Case, program: Path, rounds: int) -> Row:
    boxes, scores = outputs(case)
    settings = Postprocess(score_threshold=case.threshold)
    frame = Frame(480, 640, case.side, case.side, 0, 0)
    times = []
    for _ in range(max(3, rounds // 20)):
        start = time.perf_counter_ns()
        (found,) = postprocess(boxes[None], scores[None], [frame], settings)
        times.append((time.perf_counter_ns() - start) / 1e6)
    candidates = int((scores >= np.float32(case.threshold)).sum())
    cpp = _cpp_ms(program, rounds, boxes, scores, frame, settings)
    return Row(case, candidates, len(found.scores), cpp, statistics.median(times))


def _cpp_ms(program: Path, rounds: int, boxes: Floats, scores: Floats, frame: Frame, settings: Postprocess) -> float:
    words = (
        *(rounds, *scores.shape, settings.score_threshold, settings.iou_threshold),
        *(settings.max_candidates, settings.max_detections),
        *(frame.height, frame.width, frame.rows, frame.columns, frame.top, frame.left),
    )
    command = ("time " + " ".join(map(str, words)) + "\n").encode()
    done = subprocess.run(
        [program], input=command + boxes.tobytes() + scores.tobytes(), capture_output=True, check=True
    )
    return float(done.stdout.split()[1]) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    program = REPOSITORY / "build" / "native" / "bin" / "objects_tool"
    parser.add_argument("--program", type=Path, default=program, help="objects_tool of the C++ tests")
    parser.add_argument("--rounds", type=int, default=1000, help="timed calls in C++; Python a twentieth of them")
    add_write_option(parser)
    arguments = parser.parse_args()
    machine = machine_now()
    rows = [measure(case, arguments.program.resolve(), arguments.rounds) for case in CASES]
    said = (
        f"Medians of {arguments.rounds} calls on one thread, limits of {Postprocess().max_candidates} candidates and "
        f"{Postprocess().max_detections} objects. Aim at 320 pixels: {LIMIT_MS} ms in C++."
    )
    header = ["input", "anchors", "classes", "threshold", "scores that pass", "objects", "C++ ms", "Python ms"]
    sections = (said, table(header, map(_cells, rows)))
    data = {"rounds": arguments.rounds, "limit_ms": LIMIT_MS, "rows": [asdict(row) for row in rows]}
    deliver(Result("postprocess", "Postprocess of a detector", sections, data), machine, arguments.write)


def _cells(row: Row) -> list[str]:
    case = row.case
    threshold = f"{case.threshold:g}" if case.threshold else "all"
    sizes = [str(case.side), str(case.anchors), str(case.classes), threshold, str(row.candidates), str(row.objects)]
    return [*sizes, f"{row.cpp_ms:.3f}", f"{row.python_ms:.1f}"]


if __name__ == "__main__":
    main()
