"""Threshold, sorting, suppression and the way back to the image give the very bits in C++ that they give in Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from objects_tool import ObjectsTool, assert_same_bits, random_outputs, random_settings
from picture_tool import random_preprocessing, side

from edgetl.tasks.detection.postprocess import postprocess
from edgetl.types.frames import frame_of

CASES = 320


class Build(Protocol):
    bin: Path


@pytest.fixture(scope="module")
def tool(runtime_build: Build) -> Iterator[ObjectsTool]:
    tool = ObjectsTool(runtime_build.bin / "objects_tool")
    yield tool
    tool.close()


@pytest.mark.parametrize("part", range(4))
def test_random_outputs_become_the_same_objects(tool: ObjectsTool, part: int) -> None:
    rng = np.random.default_rng(part)
    found = 0
    for case in range(CASES // 4):
        anchors, classes = int(rng.choice([1, 2, 50, 2100])), int(rng.choice([1, 3, 20]))
        boxes, scores = random_outputs(rng, anchors, classes)
        p, settings = random_preprocessing(rng, 400), random_settings(rng)
        frame = frame_of(side(rng), side(rng), p)
        (expected,) = postprocess(boxes[None], scores[None], [frame], settings)
        assert_same_bits(tool.objects(boxes, scores, frame, settings), expected, f"case {case}: {settings} {frame}")
        found += len(expected.scores)
    assert found > 100


def test_a_large_detector_with_more_candidates_than_are_looked_at_gives_the_same_objects(tool: ObjectsTool) -> None:
    rng = np.random.default_rng(9)
    boxes, scores = random_outputs(rng, 8400, 80)
    frame = frame_of(480, 640, random_preprocessing(rng, 700))
    for _ in range(5):
        settings = random_settings(rng)
        (expected,) = postprocess(boxes[None], scores[None], [frame], settings)
        assert_same_bits(tool.objects(boxes, scores, frame, settings), expected, str(settings))


def test_every_size_and_policy_gives_the_same_frame(tool: ObjectsTool) -> None:
    rng = np.random.default_rng(5)
    for _ in range(500):
        p, height, width = random_preprocessing(rng, 700), side(rng), side(rng)
        expected = frame_of(height, width, p)
        if expected.rows * expected.columns <= 100_000_000:  # crops of longer images are refused
            assert tool.frame(height, width, p) == expected
