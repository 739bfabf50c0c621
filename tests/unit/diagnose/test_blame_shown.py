"""The sentence, the table and the page."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from rich.console import Console

from edgetl.diagnose.blame.page import render
from edgetl.diagnose.blame.result import Blame, BlamedLayer, LayerAccuracy, LayerLatency, ranked
from edgetl.diagnose.blame.table import show_blame
from edgetl.diagnose.blame.verdict import sentence
from edgetl.types import Interval


def _layer(name: str, regained: float, own: float | None = 30.0) -> BlamedLayer:
    return BlamedLayer(name, "convolution", (8, 3, 3, 3), 5_310_000, 0.5, 25.0, own, regained, 0.002)


def _blame(drop: Interval, first: BlamedLayer) -> Blame:
    blamed = Blame(
        recipe="steel",
        task="classification",
        metric="top-1",
        target="x86-cpu",
        model="int8.onnx",
        weights="float network",
        shots=60,
        val=360,
        error=0.019,
        float_score=Interval(0.97, 0.95, 0.98),
        int8_score=Interval(0.942, 0.92, 0.96),
        drop_points=drop,
        p50_ms=5.0,
        unmeasured="",
        layers=(first, *(_layer(f"features.{index}.0", 0.001 - index / 1e4) for index in range(14))),
    )
    return replace(blamed, verdict=sentence(blamed))


REAL_DROP, NO_DROP = Interval(2.8, 1.2, 4.6), Interval(0.3, -0.9, 1.5)
CULPRIT = replace(
    _layer("features.<18>.0", 0.0123),
    accuracy=LayerAccuracy(Interval(2.1, 0.8, 3.4), Interval(2.0, 0.7, 3.3)),
    latency=LayerLatency(Interval(4.2, 2.0, 6.4), 5.2, "int8 51, float32 2"),
)


def test_the_order_is_error_regained_then_own_sqnr() -> None:
    layers = [_layer("a", 0.1), _layer("b", 0.2, 20), _layer("c", 0.2, 10), _layer("d", 0.2, None)]
    assert [layer.name for layer in ranked(layers)] == ["c", "b", "d", "a"]


def test_a_proven_culprit_is_named_with_its_points_and_its_price() -> None:
    told = sentence(_blame(REAL_DROP, CULPRIT))
    assert told == "features.<18>.0 alone costs 2.1 of 2.8 points; computing it in float costs +4 % latency (+2 to +6)"


UNPROVEN = LayerAccuracy(Interval(0.3, -0.1, 1.3), Interval(0, -1, 1))


def test_no_layer_is_blamed_for_points_that_are_not_proven() -> None:
    told = sentence(_blame(REAL_DROP, replace(CULPRIT, accuracy=UNPROVEN, latency=None)))
    assert told == (
        "INT8 loses 2.8 points, and the one layer tried shows no gain that these images can prove; computing "
        "features.<18>.0, the first in the ranking, in float takes the logits error from 1.90 to 0.67 % of their range"
    )


def test_a_layer_further_down_with_a_proven_gain_is_named() -> None:
    second = replace(_layer("features.7.0", 0.01), accuracy=LayerAccuracy(Interval(3.5, 2.0, 4.5), Interval(3, 2, 4)))
    blamed = _blame(Interval(4.0, 2.5, 5.5), replace(CULPRIT, accuracy=UNPROVEN))
    told = sentence(replace(blamed, layers=(blamed.layers[0], second, *blamed.layers[1:])))
    assert told == "features.7.0 alone costs 3.5 of 4.0 points"


def test_where_no_layer_that_was_tried_has_a_proven_gain_their_number_is_told() -> None:
    blamed = _blame(REAL_DROP, replace(CULPRIT, accuracy=UNPROVEN))
    layers = [replace(layer, accuracy=UNPROVEN) for layer in blamed.layers[:3]]
    told = sentence(replace(blamed, layers=(*layers, *blamed.layers[3:])))
    assert "none of the 3 layers tried shows a gain that these images can prove" in told
    untried = replace(blamed.layers[0], accuracy=None)
    assert "the share of each layer was not measured" in sentence(replace(blamed, layers=(untried, *blamed.layers[1:])))


def test_a_network_that_loses_nothing_is_said_to_lose_nothing() -> None:
    told = sentence(_blame(NO_DROP, replace(CULPRIT, latency=None)))
    assert told.startswith("INT8 loses no accuracy that 360 images can show (0.30 points, −0.9…1.5)")
    assert told.endswith("the most logits error comes from features.<18>.0: 1.23 of 1.90 % of their range")


def test_the_table_fits_80_columns_and_the_sentence_comes_first() -> None:
    stream = io.StringIO()
    show_blame(_blame(REAL_DROP, CULPRIT), Console(file=stream, width=80))
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("features.<18>.0 alone costs 2.1 of 2.8 points")
    assert max(map(len, lines)) <= 80
    assert "5 more layers in the page and the JSON" in lines
    assert any("+4 %" in line for line in lines)


def test_the_page_is_whole_escaped_and_always_the_same() -> None:
    blamed = _blame(REAL_DROP, CULPRIT)
    page = render(blamed)
    assert page == render(blamed)
    assert "features.&lt;18&gt;.0 alone costs 2.1 of 2.8 points" in page
    assert "<18>" not in page
    assert page.count("<svg") == 1
    assert "--int8" in page
    assert page.count("<tr>") == 1 + len(blamed.layers)
    for outside in ("http://", "https://", "<script", "src="):
        assert outside not in page


def test_the_page_says_why_nothing_was_timed_and_which_weights_were_used() -> None:
    blamed = _blame(REAL_DROP, replace(CULPRIT, latency=None))
    told = render(replace(blamed, unmeasured="needs a CPU of type z80; run it there", weights="own"))
    assert "Latency not measured: needs a CPU of type z80; run it there." in told
    assert "its own INT8 weights, dequantized" in told


def test_the_json_has_everything_and_no_number_json_lacks() -> None:
    told = _blame(REAL_DROP, replace(CULPRIT, own_sqnr_db=None)).to_json()
    again = json.loads(json.dumps(told, allow_nan=False))
    assert again["schema"] == 1
    assert again["layers"][0]["accuracy"]["regained_points"]["value"] == 2.1
    assert again["layers"][0]["own_sqnr_db"] is None


def test_the_long_names_of_a_detector_break_after_a_dot() -> None:
    stream = io.StringIO()
    name = "network.backbone.body.blocks.0.0.conv_dw"
    show_blame(_blame(REAL_DROP, replace(CULPRIT, name=name)), Console(file=stream, width=80))
    lines = stream.getvalue().splitlines()
    assert any(line.startswith("network.backbone.body.blocks.0. ") for line in lines)
    assert any(line.startswith("0.conv_dw ") for line in lines)
    assert max(map(len, lines[2:])) <= 80


def test_a_detector_is_told_in_ap_and_output_error() -> None:
    blamed = replace(_blame(NO_DROP, replace(CULPRIT, latency=None)), task="detection", metric="AP")
    told = sentence(blamed)
    assert told.startswith("INT8 loses no AP that 360 images can show")
    assert told.endswith("the most output error comes from features.<18>.0: 1.23 of 1.90 %")
    page = render(replace(blamed, verdict=told))
    assert "AP on 360 validation images: float 97.0 %" in page
    assert "Output error of the INT8 network:" in page
    assert "logits" not in page.lower()
    json_names = set(blamed.to_json())
    assert {"task", "metric", "error", "float_score", "int8_score"} <= json_names


def test_the_json_of_classification_keeps_its_names() -> None:
    names = set(_blame(NO_DROP, CULPRIT).to_json())
    assert {"logits_error", "float_top1", "int8_top1"} <= names
    assert not {"error", "float_score", "int8_score"} & names
