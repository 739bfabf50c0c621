"""`edgetl blame` on real images with a real backbone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from chain import edgetl

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_the_layers_of_a_real_mobilenet_are_ranked_and_a_second_run_measures_nothing(
    shared: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.yaml"
    settings = {
        "name": "steel",
        "data": {"train": str(shared / "data" / "neu_steel" / "train"), "shots": 4, "max_val_images": 24},
        "backbone": {"name": "mobilenetv2_100", "input_size": 96},
        "adapt": {"strategy": "probe", "head": "ncm"},
        "quantize": {"method": "ptq"},
        "targets": ["x86-cpu"],
    }
    recipe.write_text(yaml.safe_dump(settings), encoding="utf-8")
    options = ("--weights-dir", shared / "weights", "--images", "6", "--top", "1")
    done = edgetl("blame", recipe, *options, "--latency", "--json")
    assert done.code == 0, done.err
    told = done.json()
    layers = {layer["name"]: layer for layer in told["layers"]}
    # 52 convolutions and the classifier, by the names of their modules
    assert len(layers) == 53
    assert {"conv_stem", "blocks.0.0.conv_dw", "conv_head", "classifier"} <= set(layers)
    # as published for 96 x 96: 300 million at 224 x 224
    assert 50e6 < sum(layer["macs"] for layer in told["layers"]) < 60e6
    assert told["weights"] == "float network"
    assert told["logits_error"] > 0
    for layer in told["layers"]:
        assert layer["weight_steps"] <= 1
        assert layer["own_sqnr_db"] > 5
    regained = [layer["regained"] for layer in told["layers"]]
    assert regained == sorted(regained, reverse=True)
    first = told["layers"][0]
    assert first["accuracy"] is not None
    assert told["layers"][1]["accuracy"] is None
    assert told["unmeasured"] or "float32" in first["latency"]["placement"]
    again = edgetl("blame", recipe, *options, "--latency")
    assert again.code == 0, again.err
    assert again.out.split()[: len(told["verdict"].split())] == told["verdict"].split()
    assert first["name"] in again.out
    assert again.lines[0].endswith(" stages kept, data to export"), again.err
    assert len(again.lines) == 1, again.err
    page = (tmp_path / "steel-build" / "blame-x86-cpu.html").read_text(encoding="utf-8")
    assert "classifier" in page


def test_layers_of_a_real_detector_are_ranked_by_what_its_boxes_lose_and_its_saturation_is_forecast(
    shared: Path, tmp_path: Path
) -> None:
    recipe, data = tmp_path / "recipe.yaml", shared / "data" / "bccd_detection"
    settings = {
        "name": "cells",
        "task": "detection",
        "data": {"train": str(data / "train.json"), "val": str(data / "val.json"), "shots": 4, "max_val_images": 12},
        "check": {"features": False},
        "backbone": {"name": "mobilenetv2_100", "input_size": 96},
        "detector": {"width": 32},
        "adapt": {"budget_minutes": 0.1, "folds": 2},
        "quantize": {"method": "ptq"},
        "targets": ["x86-cpu"],
    }
    recipe.write_text(yaml.safe_dump(settings), encoding="utf-8")
    options = ("--weights-dir", shared / "weights")
    done = edgetl("blame", recipe, *options, "--images", "3", "--top", "1", "--json")
    assert done.code == 0, done.err
    told = done.json()
    assert (told["task"], told["metric"]) == ("detection", "AP")
    names = [layer["name"] for layer in told["layers"]]
    # 51 convolutions of the backbone up to its last map, 6 of the pyramid and 5 in each of the 6 branches
    assert len(names) == 51 + 6 + 30
    assert {"network.backbone.body.conv_stem", "network.head.lateral.0.0", "network.head.classes.2.4"} <= set(names)
    assert 0 < told["error"] < 1
    regained = [layer["regained"] for layer in told["layers"]]
    assert regained == sorted(regained, reverse=True)
    assert told["layers"][0]["accuracy"] is not None
    assert told["float_score"]["value"] >= 0

    foretold = edgetl("forecast", recipe, *options, "--images", "2", "--json")
    assert foretold.code == 0, foretold.err
    (model,) = foretold.json()["models"]
    assert model["targets"] == ["x86-cpu"]
    assert len(model["calibration"]["layers"]) > 40
    assert not model["calibration"]["unknown"]
    assert model["validation"]["cost"]["images"] == 2
