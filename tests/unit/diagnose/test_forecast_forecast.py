"""A forecast tells what saturation does to layers and answers, without needing a CPU that saturates."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from saturating_models import bright_images, network
from tiny_detector import as_detector

from edgetl.diagnose.forecast.forecast import Labeled, cost_of, exact, forecast, logits_error, outputs, saturated
from edgetl.diagnose.forecast.network import Network
from edgetl.tasks.base import load_task
from edgetl.types import Box, ImagePreprocessing
from edgetl.types.frames import frame_of

TASK = load_task("classification")


def labeled(*labels: int) -> Labeled:
    return Labeled(labels, (), 4)


def test_without_saturation_the_logits_are_those_of_onnx_runtime_to_the_bit() -> None:
    model, images = network(), bright_images(3)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (expected,) = session.run(["logits"], {"image": images})
    np.testing.assert_array_equal(outputs(Network(model), [images], exact)["logits"], expected)


def test_a_layer_with_large_weights_saturates_on_bright_images_and_the_others_do_not() -> None:
    found = forecast(Network(network()), TASK, [bright_images(4)], labeled(0, 1, 2, 3))
    by_name = {layer.name: layer for layer in found.layers}
    assert list(by_name) == ["first_layer", "second_layer", "third_layer"]
    first = by_name["first_layer"]
    assert 0 < first.saturated <= first.possible <= 1
    assert first.peak > 1
    assert first.error_steps > 0
    for name in ("second_layer", "third_layer"):
        assert (by_name[name].possible, by_name[name].saturated, by_name[name].error_steps) == (0, 0, 0)
        assert 0 < by_name[name].peak < 1
    assert [layer.name for layer in found.saturating] == ["first_layer"]
    assert found.cost.error > 0
    assert found.cost.images == 4
    assert found.cost.score is not None
    assert found.cost.cost_points is not None


def test_dark_images_do_not_saturate_the_same_layer_and_cost_nothing() -> None:
    found = forecast(Network(network()), TASK, [bright_images(2) // 8])
    assert found.layers[0].possible > 0
    assert not found.saturating
    assert found.layers[0].peak <= 1
    assert (found.cost.error, found.cost.agreement.value) == (0, 1)
    assert found.cost.score is None
    assert found.cost.cost_points is None


def test_a_network_of_small_weights_is_the_same_on_both_cpus() -> None:
    model, images = network(peak=63), bright_images(2)
    opened = Network(model)
    assert not any(layer.can_saturate for layer in opened.layers)
    same, clipped = (outputs(opened, [images], each)["logits"] for each in (exact, saturated))
    np.testing.assert_array_equal(same, clipped)


def test_the_forecast_does_not_depend_on_how_images_are_batched() -> None:
    images, seen = bright_images(3), []
    one = forecast(Network(network()), TASK, [images], advance=lambda: seen.append(1))
    assert one == forecast(Network(network()), TASK, [images[:1], images[1:]])
    assert len(seen) == 3


def test_cost_counts_answers_lost_on_the_same_images() -> None:
    before = np.eye(4, dtype=np.float32)
    after = before[[0, 1, 2, 2]]
    cost = cost_of(TASK, {"logits": before}, {"logits": after}, labeled(0, 1, 2, 3))
    assert (cost.agreement.value, cost.images) == (0.75, 4)
    assert cost.score is not None
    assert cost.score.value == 1
    assert cost.cost_points is not None
    assert cost.cost_points.value == 25
    assert cost.cost_points.low < 25 < cost.cost_points.high


def test_the_logits_error_is_relative_to_their_spread() -> None:
    before = np.array([[1.0, -1.0]], np.float32)
    assert logits_error(before, before + np.float32(0.1)) == pytest.approx(0.1)
    assert logits_error(np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32)) == 0


def test_no_images_and_wrong_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        forecast(Network(network()), TASK, [])
    with pytest.raises(ValueError, match="a label for each image"):
        forecast(Network(network()), TASK, [bright_images(2)], labeled(0))


def test_a_detector_moves_by_its_scores_and_boxes_and_loses_ap() -> None:
    detector, images = as_detector(network()), bright_images(8)
    task = load_task("detection")
    frames = [frame_of(8, 8, ImagePreprocessing(8, 8, "squash", (0, 0, 0), (1, 1, 1)))] * len(images)
    opened = Network(detector)
    before, after = (outputs(opened, [images], each) for each in (exact, saturated))
    assert before["boxes"].shape == (8, 1, 4)
    truths = [(Box(0, 0, 8, 8, int(scores.argmax())),) for scores in before["scores"][:, 0]]
    found = forecast(opened, task, [images], Labeled(truths, frames, 4))
    assert [layer.name for layer in found.saturating] == ["first_layer"]
    distances = task.distance(after, before)
    assert found.cost.error == pytest.approx(np.sqrt(np.mean(distances**2)))
    assert found.cost.error > 0
    assert found.cost.predictions == (before["scores"].max(axis=2) >= 0.25).sum()
    assert found.cost.score is not None
    assert found.cost.cost_points is not None
    assert 0 <= found.cost.cost_points.value <= 100 * found.cost.score.value


def test_a_detector_that_finds_nothing_keeps_all_of_its_objects() -> None:
    nothing = {"boxes": np.zeros((2, 3, 4), np.float32), "scores": np.zeros((2, 3, 4), np.float32)}
    cost = cost_of(load_task("detection"), nothing, nothing)
    assert (cost.predictions, cost.agreement.value, cost.error) == (0, 1.0, 0.0)
