"""edgetl-run, edgetl-verify and edgetl-bench on bundles for texts compute what Python computes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hostile_bundles import refit
from native_apps import Apps, Engine
from pivot_folder import make_pivot
from text_bundles import LABELS, TEXTS, make_text_pivot, network, run, write_tokenizer

from edgetl.bundle.compile import compile_targets
from edgetl.fronts.text.load import encode_text
from edgetl.types import TOKENIZER

pytestmark = pytest.mark.integration

WORDS = ("good", "bad", "superb", "awful", "film", "the", "電影", "!", "unheard")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By target."""
    folder = tmp_path_factory.mktemp("texts")
    made = compile_targets(make_text_pivot(folder / "pivot"), ["x86-cpu", "intel-cpu", "null"], folder / "bundles")
    manifests = {bundle: json.loads((bundle / "manifest.json").read_text()) for bundle in made}
    return {
        found["target"]["name"]: bundle
        for bundle, found in manifests.items()
        if found["compiled"]["precision"] == "float32"
    }


@pytest.fixture(scope="module")
def texts() -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 50))) for _ in range(100)]


def test_texts_give_the_logits_of_python(
    apps: Apps, engine: Engine, bundles: dict[str, Path], texts: list[str], tmp_path: Path
) -> None:
    p = write_tokenizer(tmp_path)
    given = [option for text in texts for option in ("--text", text)]
    found = apps.json("edgetl-run", bundles[engine.target], *given, "--logits", "--engine-library", engine.library)
    assert [each["path"] for each in found] == [f"text:{number}" for number in range(1, len(texts) + 1)]
    expected = [run(network(p), encode_text(text, p)[None])[0] for text in texts]
    assert np.array_equal(np.array([each["logits"] for each in found], np.float32), expected)
    assert [each["labels"][0] for each in found] == [LABELS[int(row.argmax())] for row in expected]


def test_a_file_is_a_text_and_so_is_every_line_of_stdin(apps: Apps, bundles: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "one.txt"
    file.write_bytes("\ufeffa good\nfilm\r\n".encode())
    lines = b"an awful film\n\n  \nthe plot\r\n"
    done = subprocess.run(
        [apps.bin / "edgetl-run", bundles["null"], file, "-", "--ids"], input=lines, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    p = write_tokenizer(tmp_path)
    named = {str(file): "a good\nfilm", "stdin:1": "an awful film", "stdin:4": "the plot"}
    assert done.stdout.decode().splitlines() == [
        f"{name}: {' '.join(str(id) for id in encode_text(text, p) if id)}" for name, text in named.items()
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "one.txt: not usable as a text: it is empty; replace or remove it"),
        (b" \n\t ", "it holds only spaces"),
        (b"caf\xe9", "text: expected UTF-8; byte 3, 0xE9, is none"),
        (b"\x89PNG\r\n\x1a\n", "not usable as a text: it is a PNG image; replace or remove it"),
        (b"\x89PNG", "text: expected UTF-8; byte 0, 0x89, is none"),
        (b"a" * 131_073, "text: expected at most 131072 characters; found more"),
    ],
)
def test_what_is_no_text_gets_one_line(
    apps: Apps, bundles: dict[str, Path], tmp_path: Path, content: bytes, words: str
) -> None:
    file = tmp_path / "one.txt"
    file.write_bytes(content)
    apps.refuses(1, words, "edgetl-run", bundles["null"], file)


def test_options_of_texts_are_refused_for_images(apps: Apps, bundles: dict[str, Path], tmp_path: Path) -> None:
    images, *_ = compile_targets(make_pivot(tmp_path / "pivot"), ["null"], tmp_path / "bundles")
    apps.refuses(2, "--text is for texts; the bundle is made for images", "edgetl-run", images, "--text", "a")
    apps.refuses(2, "--ids is for texts; the bundle is made for images", "edgetl-run", images, "one.png", "--ids")
    apps.refuses(2, "expected BUNDLE FILE...", "edgetl-run", bundles["null"])
    words = "--stream is for sound and series; the bundle is made for texts"
    apps.refuses(2, words, "edgetl-run", bundles["null"], "-", "--stream")


def test_verify_replays_the_golden_texts(apps: Apps, engine: Engine, bundles: dict[str, Path]) -> None:
    found = apps.json("edgetl-verify", bundles[engine.target], "--engine-library", engine.library)
    assert found["passed"]
    assert [(step["image"], step["step"]) for step in found["steps"]] == [
        (index, step) for index in range(len(TEXTS)) for step in ("tokenize", "network")
    ]


def test_verify_finds_another_text(apps: Apps, bundles: dict[str, Path], tmp_path: Path) -> None:
    changed = shutil.copytree(bundles["null"], tmp_path / "changed")
    refit(changed, "golden/0.txt", b"an awful plot")
    done = apps("edgetl-verify", changed)
    assert done.returncode == 1
    assert "FAIL text 0  tokenize 1 of 8 tokens differ (limit 0); the first at 2:" in done.stdout


def test_another_tokenizer_than_the_manifests_is_refused(apps: Apps, bundles: dict[str, Path], tmp_path: Path) -> None:
    changed = shutil.copytree(bundles["null"], tmp_path / "changed")
    refit(changed, TOKENIZER, (changed / TOKENIZER).read_bytes().replace(b"wonderful", b"wonderfuI"))
    apps.refuses(1, "expected the digest in preprocessing.tokenizer", "edgetl-verify", changed)


def test_bench_measures_every_length_and_the_tokenizer(apps: Apps, engine: Engine, bundles: dict[str, Path]) -> None:
    found = apps.json("edgetl-bench", bundles[engine.target], "--cold-starts", "1", "--engine-library", engine.library)
    (bundle,) = found["bundles"]
    assert [each["tokens"] for each in bundle["by_length"]] == [8, 16, 32]
    assert all(each["p50_ms"]["low"] <= each["p50_ms"]["value"] for each in bundle["by_length"])
    assert 0 < bundle["tokenize_p50_ms"]["value"] < bundle["cold_start_ms"]


def test_bench_takes_texts_from_files(apps: Apps, bundles: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("a superb film")
    found = apps.json("edgetl-bench", bundles["null"], "--images", tmp_path, "--cold-starts", "0")
    assert json.dumps(found["bundles"][0]["p50_ms"])
