"""Every family of detectors, on real images, from annotations to bundles for every kind of target."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from chain import edgetl, edgetl_without_torch
from this_cpu import INTEL_TARGET, X86_TARGET

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TARGETS = (X86_TARGET, INTEL_TARGET, "arm64-cpu", *(["nvidia-rtx"] if find_spec("tensorrt_rtx") else []))

# family or whole network, its weights, data, side of the input in pixels
FAMILIES = {
    "ssd": ("ssd_mobilenet_v1", "ssd_mobilenet_v1_coco", "raccoon", 300),
    "yolox": ("yolox_nano", "yolox_nano_coco", "bccd_detection", 224),
    "faster-rcnn": ("mobilenetv2_100", None, "raccoon", 192),
}


def recipe(folder: Path, shared: Path, family: str) -> Path:
    name, weights, data, side = FAMILIES[family]
    place = shared / "data" / data
    content = {
        "name": "objects",
        "task": "detection",
        "data": {"train": str(place / "train.json"), "val": str(place / "val.json"), "shots": 5, "max_val_images": 20},
        "check": {"features": False},
        "backbone": {"name": name, "input_size": side}
        | ({"weights": str(shared / "weights" / weights / "model.safetensors")} if weights else {}),
        "detector": {} if weights else {"family": family, "width": 48},
        "adapt": {"strategy": "probe", "folds": 2, "epochs": 8},
        "quantize": {"method": "ptq"},
        "surgery": {"when": "off"},
        "targets": list(TARGETS),
        # five shots and few epochs: the chain is tested, not the detector
        "gates": {"max_drop_points": 100},
        "bench": {"emulate": False, "cold_starts": 1},
        "out": "build",
    }
    path = folder / "objects.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    return path


@pytest.mark.parametrize("family", FAMILIES)
def test_a_detector_of_every_family_ships_for_every_kind_of_target(family: str, shared: Path, tmp_path: Path) -> None:
    done = edgetl("build", recipe(tmp_path, shared, family), "--weights-dir", shared / "weights")
    assert done.code == 0, done.err[-3000:]
    report = json.loads((tmp_path / "build" / "report.json").read_text(encoding="utf-8"))
    rows = {row["target"]: row for row in report["bundles"]}
    assert tuple(rows) == TARGETS
    assert report["reference"]["score"] > 0.02, "it has learned something"
    for target in (X86_TARGET, INTEL_TARGET):
        assert rows[target]["verdict"] == "pass", rows[target]["reason"]
        builds = {build["precision"]: build for build in rows[target]["builds"]}
        assert builds["int8"]["placement"].startswith("int8"), "most layers run in INT8"
        assert abs(builds["int8"]["drop_points"]) < 10
        bundle = tmp_path / "build" / rows[target]["path"]
        verified = edgetl_without_torch("verify", bundle)
        assert verified.code == 0, verified.out + verified.err
