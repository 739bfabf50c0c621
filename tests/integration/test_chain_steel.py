"""The industrial example on real pictures and an ImageNet network, at short settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chain import edgetl_without_torch
from this_cpu import X86_TARGET, needs_vnni

from edgetl.bundle.read import read_bundle

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def report(steel: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((steel / "report.json").read_text(encoding="utf-8"))
    return content


def test_the_network_learned_what_the_shots_show(report: dict[str, Any]) -> None:
    assert len(report["classes"]) == 6
    assert report["data"]["shots_per_class"] == [5] * 6
    assert report["reference"]["images"] == 60
    assert report["reference"]["top1"] >= 0.6  # 1/6 by chance


@pytest.mark.parametrize("target", [X86_TARGET, pytest.param("intel-cpu", marks=needs_vnni)])
def test_int8_runs_in_int8_throughout_and_answers_as_float_does(report: dict[str, Any], target: str) -> None:
    bundle = next(bundle for bundle in report["bundles"] if bundle["target"] == target)
    assert bundle["verdict"] == "pass"
    assert bundle["measured"]
    builds = {build["precision"]: build for build in bundle["builds"]}
    assert builds["int8"]["not_integer"] == []
    assert builds["int8"]["placement"].startswith("int8 53")
    assert builds["int8"]["drop_points"] <= 10
    assert builds["int8"]["agreement"] >= 0.85
    assert builds["float32"]["agreement"] >= 0.98
    assert builds["int8"]["size_bytes"] < builds["float32"]["size_bytes"] / 2.5
    assert builds["int8"]["speedup_low"] > 1 or bundle["precision"] != "int8"


@pytest.mark.parametrize("target", [X86_TARGET, pytest.param("intel-cpu", marks=needs_vnni)])
def test_the_shipped_bundle_verifies_and_names_defects(steel: Path, shared: Path, target: str) -> None:
    bundle = steel / "bundles" / f"steel-{target}"
    labels = read_bundle(bundle).manifest.labels
    verified = edgetl_without_torch("verify", bundle, "--json")
    assert verified.code == 0
    assert verified.json()["passed"]
    folders = [path for path in sorted((shared / "data" / "neu_steel" / "val").iterdir()) if path.is_dir()]
    images = [path for folder in folders for path in sorted(folder.iterdir())[:4]]
    assert len(images) == 4 * len(labels)
    answers = edgetl_without_torch("predict", bundle, *images, "--json").json()
    right = [answer["labels"][0] == path.parent.name for answer, path in zip(answers, images, strict=True)]
    assert sum(right) / len(right) >= 0.6
