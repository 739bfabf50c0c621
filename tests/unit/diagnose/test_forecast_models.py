"""The verdict on a model is one sentence that says what to do; the table names the layers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from edgetl.diagnose.forecast.forecast import Cost, Forecast, LayerForecast
from edgetl.diagnose.forecast.models import Examined, verdict
from edgetl.diagnose.forecast.show import cost_line, show_examined
from edgetl.types import Interval

CALM = Cost(64, Interval(1.0, 0.94, 1.0), 0.001, Interval(0.9, 0.8, 0.95), Interval(0.0, -1.0, 1.0), 64)
HARMED = Cost(64, Interval(0.9, 0.8, 0.95), 0.374, Interval(0.9, 0.8, 0.95), Interval(6.2, 1.0, 12.0), 64)
SAFE = LayerForecast("node_linear", "linear", possible=0.0, saturated=0.0, peak=0.5, error_steps=0.0)
LARGE = LayerForecast("node_conv2d", "convolution", possible=0.1, saturated=0.0, peak=1.0, error_steps=0.0)
CLIPPED = replace(LARGE, saturated=0.01, peak=1.8, error_steps=12.6)


def forecast_of(layer: LayerForecast, cost: Cost) -> Forecast:
    return Forecast((layer, SAFE), cost, ())


@pytest.mark.parametrize(
    ("layer", "cost", "words"),
    [
        (SAFE, CALM, "cannot saturate"),
        (LARGE, CALM, "does not saturate on these images"),
        (CLIPPED, CALM, "saturates, but predictions stay the same"),
        (CLIPPED, replace(CALM, error=0.051), "by 5.1 % of their spread: build for the target x86-avx2"),
        (CLIPPED, replace(CALM, agreement=HARMED.agreement), "build for the target x86-avx2"),
    ],
)
def test_the_verdict_follows_from_the_numbers(layer: LayerForecast, cost: Cost, words: str) -> None:
    found = forecast_of(layer, cost)
    assert words in verdict("classification", found, found)


def test_the_table_names_the_layers_that_saturate(capsys: pytest.CaptureFixture[str]) -> None:
    found = forecast_of(CLIPPED, HARMED)
    model = Examined(
        "int8-u8s8.onnx", "u8s8", "classification", "top-1", found, found, verdict("classification", found, found)
    )
    show_examined(model, Console(width=80, highlight=False))
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.startswith("node_conv2d"))
    assert row.split() == ["node_conv2d", "10,000.00", "1.80", "12.60"]
    assert "node_linear" not in out
    assert "1 of 2 layers saturate on 64 calibration images" in out
    assert "58 of 64 predictions kept, top-1 90.0 % minus 6.20 points (1.0…12.0)" in out
    assert out.rstrip().endswith("build for the target x86-avx2")
    assert max(map(len, out.splitlines()[:6])) <= 80


def test_of_a_detector_scores_boxes_and_ap_are_told() -> None:
    cost = replace(HARMED, predictions=300)
    found = forecast_of(CLIPPED, cost)
    said = verdict("detection", found, found)
    assert said == "saturation moves scores and boxes by 37.4 %: build for the target x86-avx2"
    line = cost_line(cost, "detection", "AP")
    assert (
        line
        == "scores and boxes off by 37.4 %, 270 of 300 objects keep their class, AP 90.0 % minus 6.20 points (1.0…12.0)"
    )
    told = Examined("int8.onnx", "u8s8", "detection", "AP", found, found, said).to_json()
    assert set(told["validation"]["cost"]) == {"images", "agreement", "error", "score", "cost_points", "predictions"}


def test_a_few_objects_at_the_edge_of_two_classes_do_not_matter() -> None:
    calm = forecast_of(CLIPPED, replace(CALM, agreement=Interval(0.97, 0.9, 1.0)))
    assert verdict("detection", calm, calm) == "saturates, but predictions stay the same"


def test_the_json_of_classification_keeps_its_names() -> None:
    found = forecast_of(CLIPPED, HARMED)
    told = Examined("int8.onnx", "u8s8", "classification", "top-1", found, found, "").to_json()
    assert set(told["validation"]["cost"]) == {"images", "agreement", "logits_error", "top1", "cost_points"}
