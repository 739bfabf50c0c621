"""A text classifier from a table to bundles, through the command line: what a user does with the result."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from chain import edgetl, edgetl_without_torch
from text_chain import TextChain
from this_cpu import INTEL_TARGET, X86_TARGET

from edgetl.bench import qemu
from edgetl.bundle.inference import open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.errors import BundleError
from edgetl.files.rows import Row
from edgetl.fronts.text.load import load_text
from edgetl.types import TOKENIZER, TextPreprocessing

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def rows(text_chain: TextChain) -> dict[str, dict[str, object]]:
    assert text_chain.done.code == 0, text_chain.done.err
    report = json.loads((text_chain.out / "report.json").read_text(encoding="utf-8"))
    assert (report["task"], report["front"], report["metric"]) == ("classification", "text", "top-1")
    return {bundle["target"]: bundle for bundle in report["bundles"]}


def preprocessing(bundle: Path) -> TextPreprocessing:
    p = read_bundle(bundle).manifest.preprocessing
    assert isinstance(p, TextPreprocessing)
    return p


@pytest.mark.parametrize("target", [X86_TARGET, INTEL_TARGET])
def test_a_bundle_passes_its_gates(rows: dict[str, dict[str, object]], target: str) -> None:
    assert rows[target]["verdict"] == "pass", rows[target]["reason"]


def test_the_build_says_that_stories_teach_nothing_about_news(text_chain: TextChain, rows: dict[str, object]) -> None:
    report = json.loads((text_chain.out / "report.json").read_text(encoding="utf-8"))
    guards = {guard["guard"]: guard["sentence"] for guard in report["adapt"]["guards"]}
    assert "counts of words" in guards["negative transfer"]


def test_the_bundle_for_arm_reads_the_same_under_emulation(text_chain: TextChain) -> None:
    obstacle = qemu.missing()
    if obstacle is not None:
        pytest.skip(f"no emulator here: {obstacle.reason}")
    bundle = text_chain.bundle("arm64-cpu")
    exact = onnxruntime.InferenceSession(text_chain.out / "pivot" / "float32.onnx", providers=["CPUExecutionProvider"])
    for line in (3, 30, 60):
        tokens = load_text(Path(str(Row(text_chain.val, line))), preprocessing(bundle))[None]
        found = qemu.outputs(bundle / read_bundle(bundle).manifest.compiled.model, tokens)["logits"]
        (expected,) = exact.run(["logits"], {"tokens": tokens})
        assert np.abs(found - expected).max() < 0.02


def test_the_bundle_for_the_gpu_is_built_and_says_that_it_was_not_measured(rows: dict[str, dict[str, object]]) -> None:
    if "nvidia-rtx" not in rows:
        pytest.skip("TensorRT-RTX is not installed here")
    assert rows["nvidia-rtx"]["verdict"] == "not measured"


@pytest.mark.parametrize("target", [X86_TARGET, INTEL_TARGET])
def test_every_golden_step_replays_without_torch_or_its_tokenizer_library(text_chain: TextChain, target: str) -> None:
    done = edgetl_without_torch("verify", text_chain.bundle(target), "--json")
    assert done.code == 0, done.err
    for step in ("tokenize", "network"):
        assert f'"{step}"' in done.out


def test_predict_gives_each_row_the_class_that_the_report_counted(
    text_chain: TextChain, rows: dict[str, dict[str, object]]
) -> None:
    done = edgetl_without_torch("predict", text_chain.bundle(X86_TARGET), text_chain.val, "--json")
    assert done.code == 0, done.err
    with text_chain.val.open(encoding="utf-8", newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    answers = json.loads(done.out)
    right = [answer["labels"][0] == label for answer, label in zip(answers, labels, strict=True)]
    assert np.mean(right) == pytest.approx(rows[X86_TARGET]["top1"])


def test_the_network_takes_texts_of_any_length(text_chain: TextChain) -> None:
    bundle = read_bundle(text_chain.bundle(X86_TARGET))
    assert str(bundle.manifest.signature.inputs[0]) == "tokens int32 (?, ?)"
    with open_bundle(bundle, threads=1) as engine:
        for length in preprocessing(bundle.folder).lengths:
            tokens = np.full((2, length), 5, np.int32)
            assert np.asarray(engine.infer({"tokens": tokens})["logits"]).shape == (2, 2)


def test_filling_a_text_up_changes_nothing(text_chain: TextChain) -> None:
    session = onnxruntime.InferenceSession(
        text_chain.out / "pivot" / "float32.onnx", providers=["CPUExecutionProvider"]
    )
    p = preprocessing(text_chain.bundle(X86_TARGET))
    tokens = np.arange(10, 26, dtype=np.int32)[None]
    filled = np.pad(tokens, ((0, 0), (0, p.lengths[-1] - tokens.shape[1])), constant_values=p.pad)
    found, expected = (session.run(["logits"], {"tokens": each})[0] for each in (filled, tokens))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_text_in_another_encoding_is_refused_in_one_line(text_chain: TextChain, tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes("Übermäßig schöne Größe".encode("latin-1"))
    done = edgetl("predict", text_chain.bundle(X86_TARGET), path)
    assert done.code == 1
    assert "UTF-8" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_an_image_is_refused_in_one_line(text_chain: TextChain, tmp_path: Path) -> None:
    path = tmp_path / "photo.txt"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    done = edgetl("predict", text_chain.bundle(X86_TARGET), path)
    assert done.code == 1
    assert "PNG" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_built_again_nothing_is_done_twice(text_chain: TextChain, tmp_path: Path) -> None:
    shutil.copytree(text_chain.out, tmp_path / "build")
    done = edgetl("build", text_chain.recipe, "--out", tmp_path / "build", "--json")
    assert done.code == 0, done.err
    assert all(stage["reused"] for stage in json.loads(done.out)["stages"])


def test_a_changed_tokenizer_in_the_bundle_is_noticed(text_chain: TextChain, tmp_path: Path) -> None:
    bundle = shutil.copytree(text_chain.bundle(X86_TARGET), tmp_path / "bundle")
    (bundle / TOKENIZER).write_text((bundle / TOKENIZER).read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(BundleError, match=TOKENIZER):
        read_bundle(bundle)
