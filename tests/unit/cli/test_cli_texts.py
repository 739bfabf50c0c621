"""Bundles of texts on the command line: predict quotes what it read, verify names its steps."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import pytest
from cli_calls import Shell
from text_bundles import TEXTS, make_text_pivot

from edgetl.bundle.compile import compile_targets
from edgetl.bundle.inference import open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.errors import BackendError


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    (made,) = compile_targets(make_text_pivot(folder / "votes"), ["x86-cpu"], folder / "made")
    try:
        with open_bundle(read_bundle(made), threads=1):
            return made
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for index, text in enumerate((*TEXTS, "good " * 40, 'a\t"film"\u202e\n')):
        (folder / f"{index}.txt").write_text(text, encoding="utf-8")
    return folder


def test_lines_quote_the_beginning_of_a_text_and_cut_ones_are_said(shell: Shell, bundle: Path, texts: Path) -> None:
    done = shell("predict", bundle, texts, "--top", "1", "--quiet")
    lines = done.out.splitlines()
    assert lines[0] == f'{texts}/0.txt "an awful film": bad 95.2 %'
    assert lines[3] == f'{texts}/3.txt "這 電影 好": good 87.9 %'
    assert lines[4] == f'{texts}/4.txt "{"good " * 11}good…": good 100.0 %'
    assert lines[5] == f'{texts}/5.txt "a "film"\\u202e": neutral 57.6 %'
    assert done.err.strip() == "edgetl: 1 text has more tokens than the network takes: it read their beginning"


def test_json_and_csv_have_the_text_beside_its_place(shell: Shell, bundle: Path, texts: Path) -> None:
    found = shell("predict", bundle, texts, "--json").json()
    assert [each["cut"] for each in found] == [False, False, False, False, True, False]
    assert found[0]["text"] == TEXTS[0]
    rows = list(csv.DictReader(io.StringIO(shell("predict", bundle, texts, "--csv").out)))
    assert [row["text"] for row in rows][:2] == list(TEXTS[:2])
    assert [row["prediction"] for row in rows][:2] == ["bad", "neutral"]


def test_verify_replays_tokens_and_network(shell: Shell, bundle: Path, tmp_path: Path) -> None:
    steps = shell("verify", bundle).out.splitlines()[1:]
    assert [line.split()[:4] for line in steps[:2]] == [["ok", "text", "0", "tokenize"], ["ok", "text", "0", "network"]]
    changed = Path(shutil.copytree(bundle, tmp_path / "changed"))
    (changed / "golden" / "0.txt").write_text("an awful plot", encoding="utf-8")
    assert "golden/0.txt" in shell("verify", changed).err


def test_bench_says_which_labeled_texts_were_cut(shell: Shell, bundle: Path, tmp_path: Path) -> None:
    table = tmp_path / "reviews.csv"
    table.write_text(f"text,label\na good film,good\n{'good ' * 40},good\nan awful plot,bad\n", encoding="utf-8")
    done = shell("bench", bundle, "--data", table, "--runs", "20", "--warmup", "1", "--cold-starts", "0", "--json")
    assert done.json()["bundles"][0]["top1"]["value"] == 1
    assert "1 of 3 texts have more than 32 tokens: their end is not read" in " ".join(done.err.split())
