"""The verdict on a model is one sentence that says what to do; the table names the layers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from edgetl.diagnose.forecast.forecast import Cost, Forecast, LayerForecast
from edgetl.diagnose.forecast.models import Examined, verdict
from edgetl.diagnose.forecast.show import show_examined
from edgetl.types import Interval

CALM = Cost(64, Interval(1.0, 0.94, 1.0), 0.001, Interval(0.9, 0.8, 0.95), Interval(0.0, -1.0, 1.0))
HARMED = Cost(64, Interval(0.9, 0.8, 0.95), 0.374, Interval(0.9, 0.8, 0.95), Interval(6.2, 1.0, 12.0))
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
        (CLIPPED, replace(CALM, logits_error=0.051), "by 5.1 % of their spread: build for the target x86-avx2"),
        (CLIPPED, replace(CALM, agreement=HARMED.agreement), "build for the target x86-avx2"),
    ],
)
def test_the_verdict_follows_from_the_numbers(layer: LayerForecast, cost: Cost, words: str) -> None:
    found = forecast_of(layer, cost)
    assert words in verdict(found, found)


def test_the_table_names_the_layers_that_saturate(capsys: pytest.CaptureFixture[str]) -> None:
    found = forecast_of(CLIPPED, HARMED)
    model = Examined("int8-u8s8.onnx", "u8s8", found, found, verdict(found, found))
    show_examined(model, Console(width=80, highlight=False))
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.startswith("node_conv2d"))
    assert row.split() == ["node_conv2d", "10,000.00", "1.80", "12.60"]
    assert "node_linear" not in out
    assert "1 of 2 layers saturate on 64 calibration images" in out
    assert "58 of 64 predictions kept, top-1 90.0 % minus 6.20 points (1.0…12.0)" in out
    assert out.rstrip().endswith("build for the target x86-avx2")
    assert max(map(len, out.splitlines()[:6])) <= 80
