"""Pivots that somebody made up, given to `edgetl compile`: one line, nothing written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from cli_calls import Shell
from hostile_bundles import (
    change_model,
    claim_huge_tensor,
    edit,
    float8_logits,
    put_outside,
    put_outside_in_a_branch,
    refit_pivot,
)
from onnx import TensorProto
from pivot_folder import LABELS, make_pivot

GOLDEN_LOGITS = "golden/logits.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pivot(tmp_path_factory.mktemp("made") / "pivot", golden=1)


@pytest.fixture
def pivot(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "pivot"))


@pytest.fixture
def refused(pivot: Path, tmp_path: Path, shell: Shell) -> Callable[..., None]:
    def check(*words: str, target: str = "x86-cpu") -> None:
        out = tmp_path / "out"
        shell.refuses(1, words, "compile", pivot, "--target", target, "--out", out)
        assert not out.exists() or list(out.iterdir()) == []

    return check


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("height", -1), ("height", 10**9), ("height", 8193), ("height", 10**400), ("width", 0), ("width", 32.5)),
        *(("fill", [999, 0, 0]), ("crop_pct", 0), ("crop_pct", 1e-300), ("std", [0, 1, 1]), ("resize", "stretch")),
        ("color", "red"),
    ],
)
def test_manifest_sizes_python_hold_for_pivots_too(
    pivot: Path, refused: Callable[..., None], key: str, value: Any
) -> None:
    edit(pivot / "pivot.json", lambda described: described["preprocessing"].update({key: value}))
    refused(f"pivot.json: not a pivot of schema 1: {'unknown key ' if key == 'color' else ''}`preprocessing.{key}")


@pytest.mark.parametrize("labels", [["a"], [], ["a\nb", *LABELS[1:]], ["a", 3]])
def test_library_errors_escape_from_no_labels(pivot: Path, refused: Callable[..., None], labels: list[Any]) -> None:
    edit(pivot / "pivot.json", lambda described: described.update(labels=labels))
    whole = "`the file`: " if labels == ["a"] else ""  # detectors may have a single one
    refused(f"pivot.json: not a pivot of schema 1: {whole}`labels")


def test_a_key_that_is_there_twice_is_refused(pivot: Path, refused: Callable[..., None]) -> None:
    text = (pivot / "pivot.json").read_text(encoding="utf-8")
    (pivot / "pivot.json").write_text(text.replace("{", '{"licence": "MIT",', 1), encoding="utf-8")
    refused("the key `licence` occurs twice")


def split_into_segments(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].segment.begin = 0
    model.graph.initializer[0].segment.end = 1


def claim_unknown_type(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_type = 99


def cut_raw_data(model: onnx.ModelProto) -> None:
    tensor = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    tensor.raw_data = tensor.raw_data[:-3]


@pytest.mark.parametrize("target", ["x86-cpu", "intel-cpu", "null"])
@pytest.mark.parametrize(
    "change",
    [split_into_segments, claim_unknown_type, cut_raw_data, claim_huge_tensor, put_outside, put_outside_in_a_branch],
)
def test_library_errors_escape_from_no_tensor(
    pivot: Path, refused: Callable[..., None], change: Callable[[onnx.ModelProto], object], target: str
) -> None:
    for model in pivot.glob("*.onnx"):
        refit_pivot(pivot, model.name, change_model(model, change))
    refused(".onnx: ", target=target)


@pytest.mark.parametrize(
    "data", [b"", b"PK\3\4" + bytes(100), float8_logits(1, len(LABELS)), b"\x02\0\0\0\0\0\0\0{}"], ids=range(4)
)
def test_library_errors_escape_from_no_golden_logits(pivot: Path, refused: Callable[..., None], data: bytes) -> None:
    refit_pivot(pivot, GOLDEN_LOGITS, data)
    refused(f"{GOLDEN_LOGITS}: ")


@pytest.mark.parametrize("name", ["pivot.json", "float32.onnx", "golden/0.png", GOLDEN_LOGITS])
def test_fifo_hang_a_named_pipe_in_a_pivot_is_refused(pivot: Path, refused: Callable[..., None], name: str) -> None:
    (pivot / name).unlink()
    os.mkfifo(pivot / name)
    refused(f"{name}: cannot be read: not a regular file")


def test_an_external_location_is_what_outside_data_takes_it_for() -> None:
    assert TensorProto.EXTERNAL == 1
