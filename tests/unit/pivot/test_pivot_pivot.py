from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgetl.errors import BundleError
from edgetl.files.digest import file_digest
from edgetl.pivot.pivot import Parity, Pivot, PivotModel, read_pivot, write_pivot
from edgetl.types import ImagePreprocessing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "float32.onnx").write_bytes(b"model")
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "0.png").write_bytes(b"picture")
    model = PivotModel(
        file="float32.onnx",
        precision="float32",
        scheme_id=None,
        sha256=file_digest(tmp_path / "float32.onnx"),
        parity=Parity(images=4, max_abs_diff=1e-5, top1_agreement=1.0, tolerance=1e-3),
    )
    pivot = Pivot(
        labels=("a", "b"),
        preprocessing=ImagePreprocessing(8, 8, "squash", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        models=(model,),
        golden_files=("0.png",),
        digests={},
    )
    write_pivot(tmp_path, pivot)
    return tmp_path


def test_what_was_written_is_read_back_with_the_digest_of_every_file(folder: Path) -> None:
    pivot = read_pivot(folder)
    assert pivot.labels == ("a", "b")
    assert pivot.preprocessing.network_shape == (3, 8, 8)
    assert set(pivot.digests) == {"float32.onnx", "golden/0.png"}


@pytest.mark.parametrize("name", ["float32.onnx", "golden/0.png"])
def test_a_changed_file_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"other")
    with pytest.raises(BundleError, match=rf"{name}: changed since it was written"):
        read_pivot(folder)


def test_a_missing_file_is_refused_by_name(folder: Path) -> None:
    (folder / "float32.onnx").unlink()
    with pytest.raises(BundleError, match=r"float32\.onnx: cannot be read: No such file"):
        read_pivot(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema_version", 2),
        ("labels", []),
        ("golden_files", ["../0.png"]),
        ("surprise", 1),
        ("digests", {"../outside": "0" * 64}),
        ("digests", {"float32.onnx": "short"}),
        ("digests", {}),
    ],
)
def test_a_description_that_is_not_ours_is_refused(folder: Path, key: str, value: object) -> None:
    path = folder / "pivot.json"
    raw = json.loads(path.read_text())
    raw[key] = value
    path.write_text(json.dumps(raw))
    with pytest.raises(BundleError, match=r"pivot\.json"):
        read_pivot(folder)


def test_a_truncated_description_is_refused(folder: Path) -> None:
    path = folder / "pivot.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BundleError, match="not a pivot of schema 1"):
        read_pivot(folder)


def test_a_folder_without_a_pivot_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="edgetl export"):
        read_pivot(tmp_path)
