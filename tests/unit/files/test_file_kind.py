"""Whatever a file is called, what it is gets named."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
import torch
from PIL import Image

from edgetl.files.file_kind import HEAD_BYTES, describe, describe_bytes


def picture(format: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(stream, format)
    return stream.getvalue()


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, b"content")
    return stream.getvalue()


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("model.pth")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    return stream.getvalue()


def saved_by_torch(*, zip_file: bool) -> bytes:
    stream = io.BytesIO()
    torch.save({"weight": torch.zeros(3)}, stream, _use_new_zipfile_serialization=zip_file)
    return stream.getvalue()


def saved_by_numpy(*, archive: bool) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(3)) if archive else np.save(stream, np.zeros(3))
    return stream.getvalue()


def onnx_model() -> bytes:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [value], [])
    return bytes(onnx.helper.make_model(graph).SerializeToString())


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 7212345\n"
KINDS = {
    "git-lfs": POINTER,
    "git-annex": b"/annex/objects/SHA256E-s1--ab.jpg\n",
    "html": b"<!DOCTYPE html><html><body>403 Forbidden</body></html>",
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(200),
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400),
    "avif": b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + bytes(400),
    "video": b"\0\0\0\x18ftypisom\0\0\0\0isomavc1" + bytes(400),
    "pdf": b"%PDF-1.7\n",
    "dicom": bytes(128) + b"DICM",
    "empty": b"",
    "zeros": bytes(5000),
    "json": b'{"a": 1}',
    "yaml": b"# a recipe\nname: parts\ndata: {train: photos}\n",
    "text": b"path,label\na.png,good\n",
    "xml": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    "utf-16": "path,label\r\n".encode("utf-16"),
    "unknown": bytes(range(1, 200)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_named_by_its_leading_bytes(kind: str) -> None:
    assert describe_bytes(KINDS[kind]).kind == kind


def test_what_libraries_write_is_named() -> None:
    formats = ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "JPEG2000", "AVIF")
    assert [describe_bytes(picture(name)).kind for name in formats] == [name.lower() for name in formats]
    assert describe_bytes(picture("PPM")).kind == "pnm"
    assert describe_bytes(saved_by_torch(zip_file=True)).kind == "torch"
    assert describe_bytes(saved_by_torch(zip_file=False)).kind == "torch"
    assert [describe_bytes(saved_by_numpy(archive=archive)).kind for archive in (False, True)] == ["numpy", "numpy"]
    assert describe_bytes(safetensors.numpy.save({"a": np.zeros(3)})).kind == "safetensors"
    assert describe_bytes(onnx_model()).kind == "onnx"
    assert describe_bytes(zipped("weights/best.pth")).kind == "zip"
    assert describe_bytes(gzip.compress(b"abc")).kind == "gzip"
    assert describe_bytes(tarred()).kind == "tar"


@pytest.mark.parametrize("brand", [b"AVI ", b"WAVE"])
def test_riff_files_are_told_apart(brand: bytes) -> None:
    assert describe_bytes(b"RIFF\0\0\1\0" + brand).kind == {b"AVI ": "video", b"WAVE": "wav"}[brand]


def test_one_line_of_text_with_a_colon_is_no_yaml() -> None:
    assert describe_bytes(b"Error: access denied\n").kind == "text"


def test_text_cut_inside_a_character_is_still_text() -> None:
    assert describe_bytes(("a" + "é" * HEAD_BYTES).encode()).kind == "text"


def test_the_sentence_says_what_to_do() -> None:
    assert describe_bytes(POINTER).sentence == "it is a Git LFS pointer; run git lfs pull"
    assert describe_bytes(KINDS["pdf"]).sentence == "it is a PDF document"
    assert describe_bytes(KINDS["unknown"]).sentence == ""


def test_pipes_devices_and_folders_are_named_without_opening_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.png")
    assert describe(tmp_path / "p.png").kind == "pipe"
    assert describe(tmp_path).kind == "folder"
    assert describe(Path("/dev/zero")).kind == "device"
    with pytest.raises(FileNotFoundError):
        describe(tmp_path / "absent")
