"""Reports on a detector whose answers are its labeled objects, moved and partly lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgetl.adapt.detection.record import Candidate, DetectorAdaptation, History, Stretch
from edgetl.adapt.record import Budget, Guard
from edgetl.bench.gates import judge
from edgetl.bench.machine import describe
from edgetl.bench.result import BuildBench, Latency, TargetBench
from edgetl.recipes.gates import Gates
from edgetl.recipes.recipe_file import parse_recipe
from edgetl.report.build import ReportInputs, TargetResult, build_report
from edgetl.report.html import Details, TargetDetails
from edgetl.report.model import Report
from edgetl.tasks.detection.detections import Postprocess
from edgetl.tasks.detection.scores import DetectionScores
from edgetl.tasks.detection.task import Detection
from edgetl.types import Box, Estimate, Interval, Sample, Split
from edgetl.types.findings import Audit

CLASSES = ("platelets", "red", "white")
SETTINGS = Postprocess(score_threshold=0.4)
EVIL = "<script>alert('x')</script>"


def samples(folder: Path, count: int = 8) -> tuple[Sample, ...]:
    """Small images with up to four objects each; the last one has none."""
    generator = np.random.default_rng(1)
    made = []
    for index in range(count):
        path = folder / f"{index}.png"
        Image.fromarray(generator.integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(path)
        boxes = tuple(
            Box(float(4 + 14 * at), 6.0, float(14 + 14 * at), 16.0 + 4 * at, (index + at) % 3)
            for at in range(0 if index == count - 1 else 1 + index % 4)
        )
        made.append(Sample(str(path), boxes, ""))
    return tuple(made)


def answers(known: Sequence[Sample], seed: int, *, moved: float, lost: float, classes: int = 3) -> NDArray[np.float32]:
    """Answers to all images: every object moved by up to `moved` of its size, a share `lost` missing or of another
    class, some invented."""
    generator = np.random.default_rng(seed)
    found = np.full((len(known), 100, 6), -1, np.float32)
    for row, sample in zip(found, known, strict=True):
        kept: list[tuple[float, ...]] = []
        for box in sample.boxes[:60]:
            sides = np.array([box.x1 - box.x0, box.y1 - box.y0] * 2)
            corners = np.array([box.x0, box.y0, box.x1, box.y1]) + generator.uniform(-moved, moved, 4) * sides
            chance, score = generator.random(), generator.uniform(0.3, 1.0)
            label = (box.label + 1) % classes if chance < lost / 4 else box.label
            if not lost / 4 <= chance < lost:
                kept.append((*corners, score, label))
        for _ in range(generator.integers(0, 3)):
            x, y = generator.uniform(0, 30, 2)
            kept.append((x, y, x + 12, y + 10, generator.uniform(0.05, 0.6), int(generator.integers(classes))))
        kept.sort(key=lambda each: -each[4])
        row[: len(kept)] = np.array(kept, np.float32).reshape(-1, 6)
    return found


def measured(found: NDArray[np.float32], known: Sequence[Sample], reference: NDArray[np.float32]) -> DetectionScores:
    return Detection().measure(found, [each.truth for each in known], reference, len(CLASSES), settings=SETTINGS)


ADAPTED = DetectorAdaptation(
    family="anchor-free",
    reason="Training `head` from cached views: utility 0.512 on 30 held-out images; `last stages` 0.498.",
    candidates=(
        Candidate(
            "head", "neck and head, rate 0.004", "judged", 1920, 3, 21.4, 30, Interval(0.512, 0.46, 0.56), None, True
        ),
        Candidate(
            "last stages",
            "neck, head and two stages",
            "judged",
            960,
            3,
            60.0,
            30,
            Interval(0.498, 0.44, 0.55),
            Interval(-0.014, -0.03, 0.002),
        ),
        Candidate("all", "everything", "over budget", 960),
    ),
    guards=(
        Guard("negative transfer", "pass", "It finds more than before.", {}),
        Guard("too little data", "warn", "platelets: 9 objects.", {}),
    ),
    folds=3,
    held_out_images=30,
    objects={"platelets": 9, "red": 120, "white": 14},
    score_threshold=0.42,
    budget=Budget(3.0, 2.4, "The search was planned to take 2.4 of 3.0 minutes on two CPU cores."),
    steps=240,
    batch_size=8,
    learning_rate=0.004,
    augment="overhead",
    resize="squash",
    audit=Audit(matched=262, dropped=(), new=("head.0",)),
    source="timm mobilenetv2_100",
    licence="apache-2.0",
    frozen_parameters=541112,
    trained_parameters=100040,
    device="cpu",
    seconds=171.0,
    threads=1,
)
HISTORY = History(
    {"head": ((Stretch(20, 3.0), Stretch(40, 1.2)), (Stretch(20, 2.0), Stretch(40, 1.0)))},
    (Stretch(120, 2.0), Stretch(240, 0.8)),
)


def report(
    known: Sequence[Sample], *, lost: float = 0.3, labels: tuple[str, ...] = CLASSES, **changes: Any
) -> tuple[Report, Details]:
    """A report on one target that was timed, with a build in INT8 and one in float32, and one that is not here."""
    reference = answers(known, 1, moved=0.08, lost=0.1)
    int8 = np.where(np.random.default_rng(3).random(reference.shape[:2])[..., None] < lost, np.float32(-1), reference)
    int8 = np.stack([row[np.argsort(-row[:, 4], kind="stable")] for row in int8]).astype(np.float32)
    latency = Latency(Interval(3, 2.9, 3.1), Interval(3.5, 3.4, 3.6), Estimate(4, 3.8, 4.5), 300, 1)
    slower = replace(latency, p50_ms=Interval(7, 6.9, 7.1))
    builds = (
        BuildBench(
            "int8", 250, "int8 52, float32 1", (), measured(int8, known, reference), latency, Interval(2.3, 2.2, 2.4)
        ),
        BuildBench("float32", 900, "float32 53", (), measured(reference, known, reference), slower),
    )
    images, machine = tuple(range(len(known))), describe()
    here = TargetBench("x86-cpu", "onnxruntime", "1.31", True, False, "", machine, images, builds, labels=labels)
    absent = TargetBench(
        "nvidia-rtx",
        "tensorrt_rtx",
        "1.7",
        False,
        False,
        "no driver",
        machine,
        (),
        (BuildBench("int8", 9),),
        labels=labels,
    )
    gates = Gates(max_drop_points=100, min_score=0.1)
    recipe = parse_recipe(
        {
            "name": "cells",
            "task": "detection",
            "data": {"train": "cells"},
            "backbone": {"name": "b"},
            "targets": ["x86-cpu"],
        },
        where="here",
    )
    split = Split(labels, tuple(known[:2]), tuple(known), (), "squash", "one shape", "d")
    inputs = ReportInputs(
        recipe=recipe,
        split=split,
        reference=measured(reference, known, reference),
        targets=tuple(TargetResult(bench, judge(bench, gates), "out") for bench in (here, absent)),
        adapt=ADAPTED,
        created="2026-01-02T03:04:05",
    )
    times = np.random.default_rng(0).normal(3e6, 1e5, 300).astype(np.int64)
    details = Details(
        split,
        reference,
        (
            TargetDetails(here, {"int8": int8, "float32": reference}, {"int8": times, "float32": times * 2}),
            TargetDetails(absent, {}, {}),
        ),
        HISTORY,
    )
    return build_report(replace(inputs, **changes)), details
