"""The detection benchmark: what is planned, how ways are compared, and what the alternatives leave in float."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from onnx.helper import make_graph, make_model, make_node, make_tensor_value_info

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

from detection_cells import AUTO, IMAGENET, PLAIN, Cell, Key, plan
from detection_plain import RECIPES
from detection_text import difference, mean_of_sets, newest, score
from plain_models import after_convolutions

from edgetl.types import Interval


def cell(way: str, draw: int, ap: float, dataset: str = "raccoon", version: str = "1") -> Cell:
    """The draws of its images scatter by one point, in the same way for all cells."""
    scatter = np.random.default_rng(0).normal(0, 0.01, 200)
    drawn = tuple((ap + scatter).tolist())
    interval = Interval(ap, ap - 0.02, ap + 0.02)
    key = Key(dataset, 10, draw, way, "network", version)
    return Cell(key, interval, interval, drawn, 77, 10, 1.0, 1.0, 1, None, "", "")


def test_a_difference_is_paired_by_draw_and_by_image() -> None:
    cells = [cell(AUTO, 0, 0.50), cell(PLAIN, 0, 0.40), cell(AUTO, 1, 0.60), cell(PLAIN, 1, 0.44), cell(AUTO, 2, 0.1)]
    found = difference(cells, AUTO, PLAIN)
    assert found is not None
    assert found.each == pytest.approx((10, 16))
    assert found.mean.value == pytest.approx(13)
    assert found.mean.high - found.mean.low < 1e-6  # the same images are hard for both


def test_a_score_varies_with_the_images() -> None:
    found = score([cell(AUTO, 0, 0.50), cell(AUTO, 1, 0.60)])
    assert found is not None
    assert found.mean.value == pytest.approx(55)
    assert 3.5 < found.mean.high - found.mean.low < 4.5


def test_nothing_is_compared_without_a_common_draw() -> None:
    assert difference([cell(AUTO, 0, 0.5), cell(PLAIN, 1, 0.4)], AUTO, PLAIN) is None


def test_the_mean_of_sets_is_known_better_than_each() -> None:
    found = score([cell(AUTO, 0, 0.5)])
    assert found is not None
    mean = mean_of_sets([found] * 4)
    assert mean.high - mean.low == pytest.approx((found.mean.high - found.mean.low) / 2)


def test_of_two_versions_the_newer_one_is_shown() -> None:
    (found,) = newest([cell(AUTO, 0, 0.5, version="old"), cell(AUTO, 0, 0.6, version="new")])
    assert found.key.version == "new"


def test_a_start_from_imagenet_is_planned_only_where_auto_starts_from_coco() -> None:
    versions = dict.fromkeys((AUTO, IMAGENET), "1")
    keys = plan(["bccd_detection", "raccoon"], [10], range(1), [AUTO, IMAGENET], versions)
    assert [(key.dataset, key.way, key.network) for key in keys] == [
        ("bccd_detection", AUTO, "mobilenetv2_100"),
        ("raccoon", AUTO, "yolox_nano"),
        ("raccoon", IMAGENET, "mobilenetv2_100"),
    ]


def test_plain_schedules_warm_up_peak_and_end_low() -> None:
    fcos, yolox = RECIPES["anchor-free"].schedule, RECIPES["yolox"].schedule
    assert [fcos(0.0), fcos(0.1), fcos(0.7), fcos(0.9)] == pytest.approx([0.001, 1, 0.1, 0.01])
    assert [yolox(0.0), yolox(5 / 300), yolox(0.99)] == pytest.approx([0, 1, 0.05])


def test_only_what_follows_the_last_convolutions_stays_float() -> None:
    nodes = [
        make_node("Conv", ["x", "w"], ["a"], "first"),
        make_node("Relu", ["a"], ["b"], "between"),
        make_node("Conv", ["b", "w"], ["c"], "last"),
        make_node("Sigmoid", ["c"], ["scores"], "score"),
        make_node("Exp", ["c"], ["boxes"], "box"),
    ]
    ports = [make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "scores", "boxes")]
    weight = onnx.numpy_helper.from_array(torch.ones(1, 1, 1, 1).numpy(), "w")
    graph = make_graph(nodes, "network", ports[:1], ports[1:], [weight])
    assert after_convolutions(make_model(graph)) == ["score", "box"]
