"""Saturation of products whose ranges are found when the network runs."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from this_cpu import HAS_VNNI
from tiny_texts import LABELS, PREPROCESSING, reader, texts

from edgetl.diagnose.forecast.forecast import exact, forecast, outputs, saturated
from edgetl.diagnose.forecast.network import Network
from edgetl.pivot.attach import attach
from edgetl.pivot.from_torch import to_onnx
from edgetl.quant.dynamic import to_dynamic
from edgetl.tasks.base import load_task
from edgetl.types import Scheme

TEXTS = [texts(1, 16, seed=seed) for seed in range(6)]


@pytest.fixture(scope="module")
def models() -> dict[bool, onnx.ModelProto]:
    """With weights whose pairs fit int16, and without."""
    plain = to_onnx(reader(), PREPROCESSING.network_shape)
    made = {}
    for pairs in (True, False):
        scheme = Scheme("dynamic", False, weight_pairs_in_int16=pairs, operators=("linear",))
        made[pairs] = attach(to_dynamic(plain, scheme)[0], PREPROCESSING, LABELS)
    return made


def test_every_layer_of_the_network_is_modeled(models: dict[bool, onnx.ModelProto]) -> None:
    network = Network(models[False])
    assert len(network.layers) == 13
    assert not network.unknown
    assert {"first.query", "second.narrow", "head"} <= {layer.name for layer in network.layers}


def test_weights_of_seven_bits_cannot_saturate_and_others_do(models: dict[bool, onnx.ModelProto]) -> None:
    task = load_task("classification")
    safe, risky = (forecast(Network(models[pairs]), task, TEXTS) for pairs in (True, False))
    assert not any(layer.possible for layer in safe.layers)
    assert safe.cost.error == 0
    assert len(risky.saturating) > 9
    assert risky.cost.error > 0.01


def test_without_saturation_the_logits_are_those_of_the_network(models: dict[bool, onnx.ModelProto]) -> None:
    session = onnxruntime.InferenceSession(models[True].SerializeToString(), providers=["CPUExecutionProvider"])
    expected = np.concatenate([session.run(None, {"tokens": text})[0] for text in TEXTS])
    assert np.abs(outputs(Network(models[True]), TEXTS, exact)["logits"] - expected).max() < 1e-3


@pytest.mark.skipif(HAS_VNNI, reason="this CPU does not saturate")
def test_on_a_cpu_without_vnni_the_forecast_is_what_it_computes(models: dict[bool, onnx.ModelProto]) -> None:
    session = onnxruntime.InferenceSession(models[False].SerializeToString(), providers=["CPUExecutionProvider"])
    expected = np.concatenate([session.run(None, {"tokens": text})[0] for text in TEXTS])
    network = Network(models[False])
    assert np.abs(outputs(network, TEXTS, saturated)["logits"] - expected).max() < 1e-3
    assert np.abs(outputs(network, TEXTS, exact)["logits"] - expected).max() > 0.1
