"""How often the 95 % intervals of AP, and of its drop, contain the true value: synthetic images, detectors and builds.

An image has up to seven objects of three classes. The float detector finds 85 % of them with boxes that are off by
5 % and invents two objects per image; a build moves its boxes by half a pixel and its scores by 0.02. Images of one
video share how hard they are: the share that is found and how far boxes are off. The truth is AP on 20,000 images.
Seeds are fixed: the numbers are the same on every machine.

    python benchmarks/ap_coverage.py --write
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from result_file import Result, add_write_option, deliver, machine_now, table

from edgetl.tasks.detection.average_precision import average_precision
from edgetl.tasks.detection.detections import Detections
from edgetl.tasks.detection.match import Matches, match
from edgetl.tasks.detection.scores import resample, scores
from edgetl.types import Box, Boxes, Interval

CLASSES = 3
IMAGES = (25, 50, 100)
PER_VIDEO = (1, 5)
TRUTH_IMAGES = 20_000
_SIDE = 120.0


@dataclass(frozen=True)
class Coverage:
    """Shares of the series whose interval holds the truth, and its mean width in points, of AP and of its drop.

    bias  by how many points AP on so few images is too high, on the mean
    """

    images: int
    per_video: int
    series: int
    ap: float
    ap_width: float
    drop: float
    drop_width: float
    bias: float


def draw(images: int, per_video: int, generator: np.random.Generator) -> tuple[Matches, Matches]:
    """The float network and the build on `images` images."""
    truths: list[Boxes] = []
    found: list[Detections] = []
    built: list[Detections] = []
    for index in range(images):
        if index % per_video == 0:
            hard = generator.uniform(0.5, 1.5) if per_video > 1 else 1.0
        truths.append(tuple(_box(generator) for _ in range(generator.integers(0, 8))))
        found.append(_detect(truths[-1], hard, generator))
        built.append(_quantized(found[-1], generator))
    return match(found, truths, CLASSES), match(built, truths, CLASSES)


def measure(images: int, per_video: int, series: int, seed: int = 0, *, truth_images: int = TRUTH_IMAGES) -> Coverage:
    generator = np.random.default_rng(seed)
    population = [average_precision(each).mean for each in draw(truth_images, per_video, generator)]
    ap, drop = population[1], 100 * (population[0] - population[1])
    groups = [str(index // per_video) for index in range(images)]
    held = np.zeros(5)
    for number in range(series):
        mine = [resample(each, 0.5, groups, seed=number) for each in draw(images, per_video, generator)]
        found = scores(mine[1], mine[0]).ap
        assert found.drop_points is not None
        held += (
            _holds(found.value, ap),
            100 * (found.value.high - found.value.low),
            _holds(found.drop_points, drop),
            found.drop_points.high - found.drop_points.low,
            100 * (found.value.value - ap),
        )
    return Coverage(images, per_video, series, *(held / series).tolist())


def _box(generator: np.random.Generator) -> Box:
    width, height = generator.uniform(9, 40, 2)
    x, y = generator.uniform(0, _SIDE - width), generator.uniform(0, _SIDE - height)
    return Box(x, y, x + width, y + height, int(generator.integers(CLASSES)))


def _detect(boxes: Boxes, hard: float, generator: np.random.Generator) -> Detections:
    rows: list[tuple[float, float, float, float, float, int]] = []
    for box in boxes:
        if generator.random() < 1 - 0.15 * hard:
            width, height = box.x1 - box.x0, box.y1 - box.y0
            off = generator.normal(0, 0.05 * hard, 4) * (width, height, width, height)
            x0, y0, x1, y1 = (np.array([box.x0, box.y0, box.x1, box.y1]) + off).tolist()
            rows.append((x0, y0, x1, y1, float(generator.beta(5, 2)), box.label))
    for _ in range(generator.poisson(2)):
        box = _box(generator)
        rows.append((box.x0, box.y0, box.x1, box.y1, float(generator.beta(2, 4)), box.label))
    table = np.array(rows, np.float64).reshape(-1, 6)
    return _sorted(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def _quantized(found: Detections, generator: np.random.Generator) -> Detections:
    boxes = found.boxes + generator.normal(0, 0.5, found.boxes.shape)
    return _sorted(boxes, np.clip(found.scores + generator.normal(0, 0.02, found.scores.shape), 0, 1), found.labels)


def _sorted(boxes: NDArray[np.floating], values: NDArray[np.floating], labels: NDArray[np.int64]) -> Detections:
    order = np.argsort(-values, kind="stable")
    return Detections(boxes[order].astype(np.float32), values[order].astype(np.float32), labels[order])


def _holds(interval: Interval, true: float) -> float:
    return float(interval.low <= true <= interval.high)


def _row(each: Coverage) -> list[str]:
    kind = "independent" if each.per_video == 1 else f"in videos of {each.per_video}"
    shares = [f"{100 * each.ap:.1f}", f"{each.ap_width:.1f}", f"{100 * each.drop:.1f}", f"{each.drop_width:.1f}"]
    return [f"{each.images} {kind}", *shares, f"{each.bias:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--series", type=int, default=200, help="simulated validations of each kind")
    parser.add_argument("--truth-images", type=int, default=TRUTH_IMAGES, help="images that stand for all")
    add_write_option(parser)
    arguments = parser.parse_args()
    machine = machine_now()
    found = [
        measure(images, per_video, arguments.series, truth_images=arguments.truth_images)
        for per_video in PER_VIDEO
        for images in IMAGES
    ]
    said = (
        "Percent of the series whose 95 % interval holds the truth, and the mean width of the interval in points. "
        "Videos are drawn as a whole (`data.group_by`). `bias`: points by which AP on so few images is too high. All "
        f"is simulated: machine and load do not matter. {arguments.series} series of each kind."
    )
    header = ["images", "AP", "width", "drop", "width", "bias"]
    sections = (said, table(header, map(_row, found)))
    data = {"series": arguments.series, "coverage": [asdict(each) for each in found]}
    deliver(Result("ap-coverage", "Coverage of the intervals of AP", sections, data), machine, arguments.write)


if __name__ == "__main__":
    main()
