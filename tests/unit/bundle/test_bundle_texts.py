"""Golden vectors of texts: different lengths in one bundle, replayed from the file to the logits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from text_bundles import LENGTHS, TEXTS, make_text_pivot, network, run, write_tokenizer

from edgetl.bundle.compile import compile_targets
from edgetl.bundle.golden import StepCheck, replay
from edgetl.bundle.inference import open_bundle, verify
from edgetl.bundle.manifest import read_manifest
from edgetl.bundle.read import read_bundle
from edgetl.errors import BundleError
from edgetl.files.digest import file_digest
from edgetl.pivot.golden import MAX_CHARACTERS, read_inputs, write_examples
from edgetl.types import OUTPUT_NAME, Sample, fed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    return compile_targets(make_text_pivot(folder / "pivot"), ["null"], folder / "bundles")[0]


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "bundle"))


def replayed(bundle: Path) -> tuple[StepCheck, ...]:
    manifest = read_manifest(bundle)
    model = network(write_tokenizer(bundle))
    return replay(bundle, manifest, lambda inputs: {OUTPUT_NAME: np.concatenate([run(model, each) for each in inputs])})


def test_texts_of_different_lengths_are_tokenized_and_read_one_by_one(made: Path) -> None:
    lengths = [np.load(made / "golden" / f"{index}.input.npy").size for index in range(len(TEXTS))]
    assert lengths == [8, 8, 16, 8]
    assert [(made / "golden" / f"{index}.txt").read_text(encoding="utf-8") for index in range(4)] == list(TEXTS)
    checks = replayed(made)
    assert [check.step for check in checks] == ["tokenize", "network"] * 4
    assert all(check.passed for check in checks), checks


def test_a_bundle_of_texts_is_verified_on_its_own_runtime(tmp_path: Path) -> None:
    bundle = compile_targets(make_text_pivot(tmp_path / "pivot"), ["x86-cpu"], tmp_path / "bundles")[0]
    checks = verify(read_bundle(bundle), threads=1)
    assert all(check.passed for check in checks), checks
    with open_bundle(read_bundle(bundle), threads=1) as engine:
        tokens = np.load(bundle / "golden" / "2.input.npy")
        assert int(engine.infer(fed(tokens[None]))[OUTPUT_NAME].argmax()) == 2


def test_another_token_fails_its_step_and_is_named(bundle: Path) -> None:
    tokens = np.load(bundle / "golden" / "2.input.npy")
    found = int(tokens[3])
    tokens[3] = 1
    np.save(bundle / "golden" / "2.input.npy", tokens)
    failed = [check for check in replayed(bundle) if not check.passed]
    assert (failed[0].image, failed[0].step) == (2, "tokenize")
    assert failed[0].detail == f"1 of 16 tokens differ (limit 0); the first at 3: {found}, expected 1"


def test_a_changed_text_of_another_length_fails(bundle: Path) -> None:
    (bundle / "golden" / "0.txt").write_text(" ".join(["film"] * 9), encoding="utf-8")
    first = replayed(bundle)[0]
    assert (first.passed, first.detail) == (False, "16 tokens, expected 8")


def test_golden_tokens_of_a_length_that_is_no_bucket_are_refused(bundle: Path) -> None:
    np.save(bundle / "golden" / "0.input.npy", np.ones(9, np.int32))
    with pytest.raises(BundleError, match=r"0\.input\.npy: expected int32 of one of the lengths 8, 16, 32; found"):
        replayed(bundle)


def test_a_bundle_whose_tokenizer_is_another_one_is_refused(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"]["tokenizer.json"]["sha256"] = "0" * 64
    (bundle / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(BundleError, match=r"`files` must have tokenizer\.json with the sha256 of"):
        read_bundle(bundle)


def test_a_golden_file_of_another_front_is_refused(bundle: Path) -> None:
    text = (bundle / "manifest.json").read_text(encoding="utf-8").replace("golden/0.txt", "golden/0.wav")
    (bundle / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(BundleError, match=r"`golden\.files` must be texts; found golden/0\.wav"):
        read_bundle(bundle)


def test_a_long_golden_text_is_cut_and_its_tokens_are_those_of_what_is_left(tmp_path: Path) -> None:
    p = write_tokenizer(tmp_path)
    (tmp_path / "a.txt").write_text("\ufeff\n" + "film " * 3000 + "\n\n", encoding="utf-8")
    inputs, names = write_examples([Sample(str(tmp_path / "a.txt"), 0, "")], p, tmp_path / "golden")
    assert len((tmp_path / "golden" / names[0]).read_text(encoding="utf-8")) == MAX_CHARACTERS - 1
    assert [each.shape for each in inputs] == [(1, LENGTHS[-1])]
    assert np.array_equal(read_inputs(tmp_path / "golden", 1, p)[0], inputs[0])
    assert file_digest(tmp_path / "tokenizer.json") == p.tokenizer
