"""A fault that is planted in one layer is blamed on that very layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from pivot_folder import make_pivot
from tiny_network import (
    LABELS,
    LAYERS,
    PREPROCESSING,
    double_activation_scale,
    double_weight_scale,
    float_pivot,
    pictures,
    quantized_pivot,
)

from edgetl.bench.machine import describe
from edgetl.diagnose.blame import models as networks
from edgetl.diagnose.blame import variants as network
from edgetl.diagnose.blame.measure import Validation, measure_accuracy, measure_layers
from edgetl.diagnose.blame.models import make_networks, open_networks
from edgetl.diagnose.blame.result import BlamedLayer
from edgetl.errors import BackendError
from edgetl.fronts.pixels import Pixels
from edgetl.pivot.pivot import read_pivot
from edgetl.recipes.targets import load_target
from edgetl.store.cache import Cache
from edgetl.tasks.base import Outputs, load_task
from edgetl.types import Sample, Silent

CLASSIFICATION = load_task("classification")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Pixels:
    folder = tmp_path_factory.mktemp("pictures")
    pixels, labels = pictures(24, seed=3)
    for index, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{index}.png")
    samples = [Sample(str(folder / f"{i}.png"), int(label), f"picture {i}") for i, label in enumerate(labels)]
    return Pixels(samples, PREPROCESSING)


def _ranking(model: onnx.ModelProto, images: Pixels, cache: Path) -> tuple[BlamedLayer, ...]:
    networks = make_networks(model, float_pivot(), CLASSIFICATION, Cache(cache, Silent().note))
    return measure_layers(networks, images, Silent())[1]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_doubled_weight_scale_is_blamed_on_its_layer(layer: str, images: Pixels, tmp_path: Path) -> None:
    ranking = _ranking(double_weight_scale(quantized_pivot(), layer), images, tmp_path)
    first, second = ranking[:2]
    assert first.name == layer
    assert first.regained > 5 * max(second.regained, 0)
    # twice the weights: the error is as large as the signal, but for the bias
    assert first.own_sqnr_db is not None
    assert first.own_sqnr_db < 6
    assert min(other.own_sqnr_db or 0 for other in ranking[1:]) > 20
    assert first.weight_steps > 10


@pytest.mark.parametrize("layer", LAYERS)
def test_a_doubled_activation_scale_is_blamed_on_the_layer_that_reads_it(
    layer: str, images: Pixels, tmp_path: Path
) -> None:
    ranking = _ranking(double_activation_scale(quantized_pivot(), layer), images, tmp_path)
    first, second = ranking[:2]
    assert first.name == layer
    assert first.regained > 5 * max(second.regained, 0)
    assert first.own_sqnr_db is not None
    assert first.own_sqnr_db < 6
    # what it reads is wrong, not what it is made of
    assert max(other.weight_steps for other in ranking) < 1


def test_without_a_fault_every_layer_is_nearly_exact_and_errors_grow_along_the_network(
    images: Pixels, tmp_path: Path
) -> None:
    ranking = {layer.name: layer for layer in _ranking(quantized_pivot(), images, tmp_path)}
    assert set(ranking) == set(LAYERS)
    for layer in ranking.values():
        assert layer.own_sqnr_db is not None
        assert layer.sqnr_db is not None
        assert layer.own_sqnr_db > 25
        assert layer.sqnr_db <= layer.own_sqnr_db + 0.5
        assert abs(layer.regained) < 0.02
        assert 0 <= layer.lost < 0.02


def test_accuracy_of_the_first_layers_is_paired_on_all_images(images: Pixels, tmp_path: Path) -> None:
    networks = make_networks(
        double_weight_scale(quantized_pivot(), "head"),
        float_pivot(),
        CLASSIFICATION,
        Cache(tmp_path, Silent().note),
    )
    _, ranking = measure_layers(networks, images, Silent())
    scores, judged = measure_accuracy(networks, ranking, 2, Validation(images, len(LABELS)), Silent())
    assert [layer.accuracy is not None for layer in judged] == [True, True, False, False]
    first = judged[0].accuracy
    assert first is not None
    # floating the faulty layer gives back what the whole drop was, but for the rounding of the others
    assert abs(first.regained_points.value - scores.drop_points.value) <= 100 / 24 + 1e-9
    assert first.regained_points.low <= first.regained_points.value <= first.regained_points.high
    assert scores.float_score.value > 0.5


def test_a_run_that_was_stopped_continues_where_it_stopped(
    images: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    genuine = network.outputs

    def stopping(*arguments: object, **named: object) -> Outputs:
        if len(computed) == 4:
            raise KeyboardInterrupt
        computed.append(1)
        return genuine(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(networks, "outputs", stopping)
    with pytest.raises(KeyboardInterrupt):
        _ranking(quantized_pivot(), images, tmp_path)

    def counting(*arguments: object, **named: object) -> Outputs:
        computed.append(1)
        return genuine(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(networks, "outputs", counting)
    ranking = _ranking(quantized_pivot(), images, tmp_path)
    # three whole networks and each layer twice; only the float network, with which all are compared, a second time
    assert len(computed) == 3 + 2 * len(LAYERS) + 1
    monkeypatch.setattr(networks, "outputs", stopping)
    assert _ranking(quantized_pivot(), images, tmp_path) == ranking


def test_a_network_in_float_has_nothing_to_blame(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="no quantized layer"):
        make_networks(float_pivot(), float_pivot(), CLASSIFICATION, Cache(tmp_path, Silent().note))


def test_what_another_kind_of_cpu_answered_is_not_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_pivot(tmp_path / "pivot")

    def kept(value: float) -> float:
        opened = open_networks(folder, read_pivot(folder), load_target("x86-cpu"), tmp_path / "cache", Silent())
        return float(opened.cache.array({"what": "x"}, lambda: np.array(value)))

    assert (kept(1), kept(2)) == (1, 1)
    other = replace(describe(), instruction_sets=("none of this CPU",))
    monkeypatch.setattr(networks, "describe", lambda: other)
    assert (kept(3), kept(4)) == (3, 3)
