"""Motions from an NPZ file to bundles, through the command line: what a user does with the result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from chain import edgetl, edgetl_without_torch
from series_chain import SeriesChain
from this_cpu import INTEL_TARGET, X86_TARGET

from edgetl.bench import qemu
from edgetl.bundle.inference import open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.types import SeriesPreprocessing

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def rows(series_chain: SeriesChain) -> dict[str, dict[str, object]]:
    assert series_chain.done.code == 0, series_chain.done.err
    report = json.loads((series_chain.out / "report.json").read_text(encoding="utf-8"))
    assert (report["task"], report["front"], report["metric"]) == ("classification", "series", "top-1")
    return {bundle["target"]: bundle for bundle in report["bundles"]}


@pytest.mark.parametrize("target", [X86_TARGET, INTEL_TARGET])
def test_five_windows_a_class_are_enough_to_tell_the_motions_apart(
    rows: dict[str, dict[str, object]], target: str
) -> None:
    row = rows[target]
    assert row["verdict"] == "pass", row["reason"]
    assert isinstance(row["top1"], float)
    assert row["top1"] > 0.9  # a nearest neighbor has 0.575 with all windows


def test_the_bundle_for_arm_gives_the_same_under_emulation(series_chain: SeriesChain) -> None:
    obstacle = qemu.missing()
    if obstacle is not None:
        pytest.skip(f"no emulator here: {obstacle.reason}")
    ours, theirs = (read_bundle(series_chain.bundle(target)) for target in (X86_TARGET, "arm64-cpu"))
    windows = np.load(series_chain.table)["val_x"][::6]
    found = qemu.outputs(theirs.folder / theirs.manifest.compiled.model, windows)["logits"]
    with open_bundle(ours, threads=1) as engine:
        expected = np.asarray(engine.infer({"series": windows})["logits"], np.float32)
    assert np.abs(found - expected).max() < 0.01 * (expected.max() - expected.min())


def test_the_bundle_for_the_gpu_is_built_and_says_that_it_was_not_measured(rows: dict[str, dict[str, object]]) -> None:
    if "nvidia-rtx" not in rows:
        pytest.skip("TensorRT-RTX is not installed here")
    assert rows["nvidia-rtx"]["verdict"] == "not measured"


@pytest.mark.parametrize("target", [X86_TARGET, INTEL_TARGET])
def test_every_golden_step_replays_without_torch(series_chain: SeriesChain, target: str) -> None:
    done = edgetl_without_torch("verify", series_chain.bundle(target), "--json")
    assert done.code == 0, done.err
    for step in ("decode", "window", "network"):
        assert f'"{step}"' in done.out


def test_predict_takes_the_windows_of_a_table_as_the_report_counted_them(
    series_chain: SeriesChain, rows: dict[str, dict[str, object]], tmp_path: Path
) -> None:
    stored = np.load(series_chain.table)
    np.savez(tmp_path / "new.npz", x=stored["val_x"])
    done = edgetl_without_torch("predict", series_chain.bundle(X86_TARGET), tmp_path / "new.npz", "--json")
    assert done.code == 0, done.err
    answers = json.loads(done.out)
    assert [Path(answer["path"]).name for answer in answers] == [f"new.npz:{number}:x" for number in range(40)]
    bundle = read_bundle(series_chain.bundle(X86_TARGET))
    found = [bundle.manifest.labels.index(answer["labels"][0]) for answer in answers]
    assert np.mean(found == stored["val_y"]) == pytest.approx(rows[X86_TARGET]["top1"])
    p = bundle.manifest.preprocessing
    assert isinstance(p, SeriesPreprocessing)
    assert str(bundle.manifest.signature.inputs[0]) == "series float32 (?, 100, 6)"


def test_gaps_and_other_channels_are_refused_in_one_line(series_chain: SeriesChain, tmp_path: Path) -> None:
    window = np.load(series_chain.table)["val_x"][0]
    np.save(tmp_path / "five.npy", window[:, :5])
    window[4, 2] = np.nan
    np.save(tmp_path / "gap.npy", window)
    for name, words in (
        ("five.npy", "expected 6 channels, found 5"),
        ("gap.npy", "the value of channel 3 at step 5 is not a number"),
    ):
        done = edgetl("predict", series_chain.bundle(X86_TARGET), tmp_path / name, "--quiet")
        assert done.code == 1
        assert words in done.err
        assert len(done.err.strip().splitlines()) == 1


def test_the_page_draws_a_curve_for_each_channel(series_chain: SeriesChain) -> None:
    page = (series_chain.out / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/svg+xml;base64,") >= 4
    assert "60 windows of 100 steps, 6 channels: channel 1, channel 2" in page
    assert "Each curve is a channel" in page
