"""edgetl predict takes texts from tables, files, options and stdin, and names each by its place."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from cli_calls import Shell
from text_bundles import make_text_pivot

from edgetl.bundle.compile import compile_targets
from edgetl.bundle.inference import open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.errors import BackendError


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words vote for bad, neutral or good."""
    folder = tmp_path_factory.mktemp("texts")
    made = folder / "bundles" / "x86-cpu-float32"
    try:
        compile_targets(make_text_pivot(folder / "votes"), ["x86-cpu"], folder / "bundles")
        with open_bundle(read_bundle(made), threads=1):
            return made
    except BackendError as error:
        pytest.skip(str(error))


def found(shell: Shell, *arguments: str | Path, code: int = 0) -> dict[str, str]:
    """Path -> label."""
    done = shell("predict", *arguments, "--json", "--quiet")
    assert done.code == code, done.err
    return {Path(each["path"]).name: (each["labels"] or ["-"])[0] for each in done.json()}


def test_every_row_of_a_table_is_classified_and_named_by_its_line(shell: Shell, bundle: Path, tmp_path: Path) -> None:
    table = tmp_path / "reviews.csv"
    table.write_text('id,text\n1,a superb film\n2,"awful,\nand boring"\n3,  \n4,the film\n')
    assert found(shell, bundle, table, code=1) == {
        "reviews.csv:2": "good",
        "reviews.csv:3": "bad",
        "reviews.csv:5": "-",
        "reviews.csv:6": "neutral",
    }
    assert found(shell, bundle, f"{table}:3") == {"reviews.csv:3": "bad"}


def test_a_column_of_another_name_is_asked_for(shell: Shell, bundle: Path, tmp_path: Path) -> None:
    table = tmp_path / "reviews.tsv"
    table.write_text("id\topinion\n1\ta superb film\n")
    assert "expected a column `text`; name it with --column" in shell("predict", bundle, table).err
    assert found(shell, bundle, table, "--column", "Opinion") == {"reviews.tsv:2:opinion": "good"}


def test_files_folders_and_lists_of_texts_are_read(shell: Shell, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a.txt").write_text("superb")
    (tmp_path / "new" / "b.txt").write_text("awful")
    (tmp_path / "list.csv").write_text("path\nnew/b.txt\n")
    assert found(shell, bundle, tmp_path / "new") == {"a.txt": "good", "b.txt": "bad"}
    assert found(shell, bundle, tmp_path / "new" / "a.txt") == {"a.txt": "good"}
    assert found(shell, bundle, tmp_path / "list.csv") == {"b.txt": "bad"}


def test_texts_are_given_as_options(shell: Shell, bundle: Path) -> None:
    assert found(shell, bundle, "--text", "a superb film", "--text", "awful") == {"text:1": "good", "text:2": "bad"}
    done = shell("predict", bundle, "--text", " ")
    assert done.code == 1
    assert done.err == "edgetl: text:1: not usable as a text: it holds only spaces; replace or remove it\n"


def test_lines_of_stdin_are_texts(shell: Shell, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def typed(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))

    typed(b"superb\r\n\nawful")
    done = shell("predict", bundle, "-", "--csv")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [(row["path"], row["prediction"]) for row in rows] == [("stdin:1", "good"), ("stdin:3", "bad")]
    typed("caf\xe9".encode("latin-1"))
    shell.refuses(1, ["stdin: not UTF-8: byte 0xE9 in line 1"], "predict", bundle, "-")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("text\n".encode("utf-16"), "it is UTF-16 text; save it as UTF-8"),
        (b"text\ncaf\xe9\n", "not UTF-8: byte 0xE9 in line 2, which is `é` in Windows-1252 (Latin-1)"),
        (b'text\n"open\n', "line 2: not valid CSV"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(
    shell: Shell, bundle: Path, tmp_path: Path, content: bytes, expected: str
) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    done = shell("predict", bundle, tmp_path / "t.csv")
    assert done.code == 1
    assert len(done.lines) == 1
    assert expected in done.err


def test_rows_cannot_be_sorted_into_folders(shell: Shell, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(json.dumps({"text": "superb"}))
    words = ["--sort-into is for files; t.jsonl:1 is a row of a table: use --csv"]
    shell.refuses(2, words, "predict", bundle, tmp_path / "t.jsonl", "--sort-into", tmp_path / "out")


def test_accuracy_is_measured_on_a_labeled_table(shell: Shell, bundle: Path, tmp_path: Path) -> None:
    rows = [("a superb film", "good"), ("awful", "bad"), ("the film", "neutral"), ("boring", "good")]
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps({"text": text, "label": label}) for text, label in rows))
    quick = ("--runs", "20", "--warmup", "1", "--cold-starts", "0", "--quiet")
    done = shell("bench", bundle, "--data", tmp_path / "t.jsonl", *quick, "--json")
    assert done.code == 0, done.err
    assert "0.75" in done.out
