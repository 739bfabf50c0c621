"""network.json on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgetl.backbones.spec import read_spec, write_spec
from edgetl.errors import WeightsError
from edgetl.types import ImagePreprocessing, NetworkSpec

SPEC = NetworkSpec(
    "timm",
    "mobilenetv2_100",
    {"pad_type": "same", "img_size": [64, 48]},
    7,
    "classifier",
    ImagePreprocessing(64, 48, "squash", (0.1, 0.2, 1 / 3), (0.5, 0.25, 0.2), 0.9, "bicubic", (1, 2, 3)),
)


def test_a_spec_comes_back_as_it_was(tmp_path: Path) -> None:
    write_spec(SPEC, tmp_path / "network.json")
    assert read_spec(tmp_path / "network.json") == SPEC


def test_surgery_comes_back_too(tmp_path: Path) -> None:
    operated = replace(SPEC, surgery=("relu", "no-gates"))
    write_spec(operated, tmp_path / "network.json")
    assert read_spec(tmp_path / "network.json") == operated


def test_without_surgery_nothing_of_it_is_written_and_such_files_are_read(tmp_path: Path) -> None:
    write_spec(SPEC, tmp_path / "network.json")
    assert "surgery" not in json.loads((tmp_path / "network.json").read_text())
    assert read_spec(tmp_path / "network.json").surgery == ()


def test_equal_specs_are_equal_bytes(tmp_path: Path) -> None:
    write_spec(SPEC, tmp_path / "a")
    write_spec(read_spec(tmp_path / "a"), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"schema": 2}, "schema 1"),
        ({"library": "keras"}, "library"),
        ({"num_classes": "many"}, "num_classes"),
        ({"extra": 1}, "unknown keys: extra"),
        ({"preprocessing": {"hight": 3}}, "unknown keys: hight"),
        ({"surgery": 3}, "surgery"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, change: dict[str, object], part: str) -> None:
    path = tmp_path / "network.json"
    write_spec(SPEC, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(WeightsError, match=part):
        read_spec(path)


@pytest.mark.parametrize("content", ["", "[]", "{", "\udcff"])
def test_what_is_no_description_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "network.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(WeightsError, match=r"network\.json"):
        read_spec(path)
