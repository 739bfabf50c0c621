"""The layers of a detector are blamed by how far its boxes and scores move, and by AP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from tiny_detector import as_detector, labeled_pictures
from tiny_network import LABELS, LAYERS, double_activation_scale, double_weight_scale, float_pivot, quantized_pivot

from edgetl.diagnose.blame.measure import Validation, measure_accuracy, measure_layers
from edgetl.diagnose.blame.models import Networks, make_networks
from edgetl.fronts.pixels import Pixels
from edgetl.store.cache import Cache
from edgetl.tasks.base import load_task
from edgetl.types import Silent


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Pixels:
    return labeled_pictures(tmp_path_factory.mktemp("pictures"), 24)


def networks_of(model: onnx.ModelProto, cache: Path) -> Networks:
    kept = Cache(cache, Silent().note)
    return make_networks(as_detector(model), as_detector(float_pivot()), load_task("detection"), kept)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("spoil", [double_weight_scale, double_activation_scale])
def test_a_fault_planted_in_a_layer_is_blamed_on_that_layer(
    layer: str, spoil: object, images: Pixels, tmp_path: Path
) -> None:
    assert callable(spoil)
    error, ranking = measure_layers(networks_of(spoil(quantized_pivot(), layer), tmp_path), images, Silent())
    first, second = ranking[:2]
    assert first.name == layer
    assert first.regained > second.regained
    assert first.regained < error < 1.5  # a share of the scores' range and of the boxes' sides


def test_every_quantized_layer_of_a_detector_is_ranked_and_its_float_decoder_is_not(
    images: Pixels, tmp_path: Path
) -> None:
    _, ranking = measure_layers(networks_of(quantized_pivot(), tmp_path), images, Silent())
    assert {layer.name for layer in ranking} == set(LAYERS)


def test_points_regained_are_of_ap_and_paired_on_the_same_images(images: Pixels, tmp_path: Path) -> None:
    networks = networks_of(double_weight_scale(quantized_pivot(), "head"), tmp_path)
    _, ranking = measure_layers(networks, images, Silent())
    scores, judged = measure_accuracy(networks, ranking, 1, Validation(images, len(LABELS)), Silent())
    first = judged[0].accuracy
    assert first is not None
    assert scores.drop_points.value == pytest.approx(
        100 * (scores.float_score.value - scores.int8_score.value), abs=1e-6
    )
    # with the faulty layer in float, what is left of the drop is the rounding of the other layers
    left = scores.drop_points.value - first.regained_points.value
    assert abs(left) < max(2.0, 0.5 * abs(scores.drop_points.value))
    assert [layer.accuracy is not None for layer in judged] == [True, False, False, False]


def test_intervals_allow_for_images_that_are_alike(images: Pixels, tmp_path: Path) -> None:
    networks = networks_of(double_weight_scale(quantized_pivot(), "head"), tmp_path)
    groups = [f"site {index // 6}" for index in range(len(images))]
    alone, grouped = (
        measure_accuracy(networks, (), 0, Validation(images, len(LABELS), each), Silent())[0] for each in (None, groups)
    )
    assert alone.drop_points.value == grouped.drop_points.value
    assert alone.drop_points != grouped.drop_points


def test_a_second_ranking_runs_no_network(images: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = networks_of(quantized_pivot(), tmp_path)
    once = measure_layers(networks, images, Silent())
    monkeypatch.setattr(Networks, "outputs", lambda *_: pytest.fail("ran again"))
    assert measure_layers(networks_of(quantized_pivot(), tmp_path), images, Silent()) == once


def test_answers_are_in_pixels_of_the_image(tmp_path: Path) -> None:
    from PIL import Image

    small = labeled_pictures(tmp_path, 2)
    large = []
    for sample in small.samples:
        place = Path(sample.path).with_suffix(".large.png")
        Image.open(sample.path).resize((160, 80)).save(place)
        large.append(replace(sample, path=str(place), sha256=f"{sample.sha256} large"))
    networks = networks_of(quantized_pivot(), tmp_path / "cache")
    answers = networks.answers("all in INT8", "", Pixels(large, small.preprocessing))
    corners = answers[:, 0, :4]
    assert np.all(corners[:, 2] > 80)
    assert np.all(corners[:, 3] <= 80)
