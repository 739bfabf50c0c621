"""A bundle that was changed, cut short or made up is refused in one line, before anything in it is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetl.bundle.manifest import Measured, read_manifest
from edgetl.bundle.read import read_bundle
from edgetl.bundle.write import add_measurement, write_manifest
from edgetl.errors import BundleError
from edgetl.files.digest import file_digest
from edgetl.recipes.targets import load_target
from edgetl.types import Compiled, ImagePreprocessing, Interval


def make_bundle(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"\n\5bytes" * 100)
    (folder / "labels.txt").write_text("cat\ndog\n")
    write_manifest(
        folder,
        name="pets-x86-cpu",
        target=load_target("x86-cpu"),
        compiled=Compiled("onnxruntime", "1.31.1", "int8", "model.onnx", ("model.onnx",)),
        scheme="u8s8-000000",
        labels=("cat", "dog"),
        preprocessing=ImagePreprocessing(32, 32, "squash", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        pivot_sha256="0" * 64,
        golden_files=(),
    )
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle")


def edit(bundle: Path, **changes: Any) -> None:
    path = bundle / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_bundle_reads_back_as_it_was_written(bundle: Path) -> None:
    opened = read_bundle(bundle)
    assert opened.manifest.labels == ("cat", "dog")
    assert opened.size_bytes() == 700


def test_a_measurement_changes_the_manifest_alone(bundle: Path) -> None:
    before = (bundle / "model.onnx").read_bytes()
    measured = Measured(
        images=10,
        emulated=False,
        top1=Interval(0.9, 0.6, 1.0),
        drop_points=Interval(0.0, -1.0, 1.0),
        p50_ms=1.0,
        p99_ms=2.0,
        threads=1,
        speedup_over_float=2.0,
        cpu="test",
        date="2026-01-01",
    )
    add_measurement(bundle, read_manifest(bundle), measured, "pass", "within the gates")
    assert read_bundle(bundle).manifest.measured == measured
    assert (bundle / "model.onnx").read_bytes() == before


def test_a_changed_byte_is_found(bundle: Path) -> None:
    content = bytearray((bundle / "model.onnx").read_bytes())
    content[350] ^= 1
    (bundle / "model.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx: SHA-256 differs"):
        read_bundle(bundle)


def test_a_truncated_file_is_found(bundle: Path) -> None:
    (bundle / "model.onnx").write_bytes(b"weights")
    with pytest.raises(BundleError, match="7 bytes, the manifest says 700"):
        read_bundle(bundle)


def test_missing_foreign_and_linked_files_are_found(bundle: Path) -> None:
    (bundle / "extra.so").write_bytes(b"x")
    with pytest.raises(BundleError, match=r"extra\.so: not listed"):
        read_bundle(bundle)
    (bundle / "extra.so").unlink()
    (bundle / "labels.txt").rename(bundle.parent / "labels.txt")
    with pytest.raises(BundleError, match=r"labels\.txt: listed in the manifest but missing"):
        read_bundle(bundle)
    (bundle / "labels.txt").symlink_to(bundle.parent / "labels.txt")
    with pytest.raises(BundleError, match="symbolic link"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": 3}, "not a manifest of schema 1 or 2"),
        ({"schema": "2"}, "not a manifest of schema 1 or 2"),
        ({"color": "red"}, "unknown key `color`"),
        ({"labels": []}, "`labels`"),
        ({"files": {"../../secret": {"sha256": "0" * 64, "size_bytes": 1}}}, "of the form"),
        ({"files": {"/absolute": {"sha256": "0" * 64, "size_bytes": 1}}}, "of the form"),
        ({"files": {"a": {"sha256": "0" * 64, "size_bytes": 10**15}}}, "at most"),
        ({"files": {}}, "the model's files are not among|not listed"),
    ],
)
def test_a_made_up_manifest_is_refused(bundle: Path, changes: dict[str, Any], words: str) -> None:
    edit(bundle, **changes)
    with pytest.raises(BundleError, match=words) as caught:
        read_bundle(bundle)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("labels", [["dog", "cat"], ["cat", "cats"], ["cat", "doG"]])
def test_a_manifest_whose_labels_are_not_those_of_labels_txt_is_refused(bundle: Path, labels: list[str]) -> None:
    edit(bundle, labels=labels)
    with pytest.raises(BundleError, match=r"labels\.txt: not the labels of manifest\.json"):
        read_bundle(bundle)


def test_a_bundle_without_labels_txt_is_refused(bundle: Path) -> None:
    files = json.loads((bundle / "manifest.json").read_text())["files"]
    (bundle / "labels.txt").unlink()
    edit(bundle, files={name: entry for name, entry in files.items() if name != "labels.txt"})
    with pytest.raises(BundleError, match=r"labels\.txt is not among `files`"):
        read_bundle(bundle)


def test_the_digest_of_a_manifest_covers_what_no_file_contradicts(bundle: Path) -> None:
    digest = file_digest(bundle / "manifest.json")
    assert read_bundle(bundle, digest).manifest.name == "pets-x86-cpu"
    edit(bundle, verdict="pass")
    read_bundle(bundle)
    with pytest.raises(BundleError, match=rf"manifest\.json: SHA-256 is [0-9a-f]{{64}}, expected {digest}; "):
        read_bundle(bundle, digest)


def test_a_model_path_cannot_leave_the_bundle(bundle: Path) -> None:
    compiled = json.loads((bundle / "manifest.json").read_text())["compiled"]
    edit(bundle, compiled=compiled | {"model": "../model.onnx"})
    with pytest.raises(BundleError, match="plain names inside the bundle"):
        read_bundle(bundle)


def test_what_is_no_folder_or_no_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such bundle"):
        read_bundle(tmp_path / "absent")
    with pytest.raises(BundleError, match="cannot read"):
        read_bundle(tmp_path)
    with pytest.raises(BundleError, match="cannot be read: File name too long"):
        read_bundle(tmp_path / ("a" * 300))
    (tmp_path / "archive.zip").write_bytes(b"PK\3\4")
    with pytest.raises(BundleError, match=r"expected a folder with manifest\.json; found a zip archive"):
        read_bundle(tmp_path / "archive.zip")
    (tmp_path / "archive.zip").unlink()
    (tmp_path / "manifest.json").write_bytes(b" " * 5_000_000)
    with pytest.raises(BundleError, match="larger than 4000000 bytes"):
        read_bundle(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 2000), noise=st.binary(max_size=20))
def test_no_damage_to_the_manifest_gets_past_the_reader_unnoticed(bundle: Path, cut: int, noise: bytes) -> None:
    path = bundle / "manifest.json"
    whole = path.read_bytes()
    position = cut % len(whole)
    try:
        path.write_bytes(whole[:position] + noise)
        with pytest.raises(BundleError):
            read_bundle(bundle)
    finally:
        path.write_bytes(whole)
