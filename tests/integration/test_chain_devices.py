"""Measurements that come back from devices: merged into the report of a finished build, and only when given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chain import Chain, edgetl

pytestmark = pytest.mark.integration


def test_a_measured_bundle_is_merged_into_the_report_and_stays_as_it_was(chain: Chain, tmp_path: Path) -> None:
    out = chain.copy_out(tmp_path / "build")
    bundle = out / "bundles" / "digits-x86-cpu"
    manifest = (bundle / "manifest.json").read_bytes()
    measured = edgetl("bench", bundle, "--json", "--cold-starts", "1", "--quiet")
    assert measured.code == 0, measured.err
    (tmp_path / "device.json").write_text(measured.out, encoding="utf-8")

    merged = edgetl("report", chain.recipe, "--out", out, "--device", tmp_path / "device.json")
    assert merged.code == 0, merged.err
    assert "Measured on devices" in merged.out
    (device,) = json.loads((out / "report.json").read_text(encoding="utf-8"))["devices"]
    assert (device["match"], device["target"], device["file"]) == ("this bundle", "x86-cpu", "device.json")
    assert "Measured on devices" in (out / "report.html").read_text(encoding="utf-8")
    assert (bundle / "manifest.json").read_bytes() == manifest

    again = edgetl("report", chain.recipe, "--out", out, "--json")
    assert again.json()["report"]["devices"] == []


def test_a_file_that_is_no_measurement_stops_before_any_work(chain: Chain, tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text("{}")
    out = tmp_path / "never"
    refused = edgetl("report", chain.recipe, "--out", out, "--device", tmp_path / "notes.json")
    assert refused.code == 1
    assert len(refused.lines) == 1
    assert "notes.json: expected the output of `edgetl-bench --json`, schema 1" in refused.err
    assert not out.exists()
