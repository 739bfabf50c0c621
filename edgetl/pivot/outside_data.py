"""Whether an ONNX file takes tensors from other files, read from its bytes alone: a bundle is opened without `onnx`.

A file is a protobuf message (the encoding: protobuf.dev/programming-guides/encoding; the field numbers: onnx.proto of
ONNX 1.18). Only what can hold a tensor is entered. The C++ runtime has the same walk in `runtime/src/onnx_file.cpp`.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from edgetl.files.digest import open_plain

_MAX_DEPTH = 64  # graphs in nodes in graphs; networks have 2 or 3
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_KEY_BYTES = 5
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of TensorProto
_OTHER_FORMAT = b"ORTM"  # at byte 4: onnxruntime's own, which it would take as well

_TENSOR = "tensor"
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: _TENSOR, 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: _TENSOR, 6: "graph", 10: _TENSOR, 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: _TENSOR, 2: _TENSOR},
}
"""Of each message, the fields to enter and what lies in them."""


class NotOnnx(ValueError):
    """Bytes that are not a protobuf message, or one nested deeper than any network."""


def has_outside_data(path: Path) -> bool:
    """Whether any tensor of the ONNX file lies in another file. Raises NotOnnx; OSError."""
    with open_plain(path) as stream:
        start = stream.read(8)
        if not start or start[4:] == _OTHER_FORMAT:
            raise NotOnnx
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _any_outside(data, 0, len(data), "model", 0)


def _any_outside(data: mmap.mmap, begin: int, end: int, kind: str, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        raise NotOnnx
    inside = _INSIDE.get(kind, {})
    for field, wire, first, last in _fields(data, begin, end):
        if kind == _TENSOR:
            # a location other than 0 is EXTERNAL, the only other there is
            if field == _EXTERNAL_DATA or (field == _DATA_LOCATION and data[first:last].strip(b"\x80\x00")):
                return True
        elif field in inside and wire == _BYTES and _any_outside(data, first, last, inside[field], depth + 1):
            return True
    return False


def _fields(data: mmap.mmap, begin: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(number, wire type, first byte of the value, byte behind it) of every field of the message."""
    at = begin
    while at < end:
        key, behind = _varint(data, at, end)
        if behind - at > _MAX_KEY_BYTES:
            raise NotOnnx
        at, wire = behind, key & 7
        if wire == _BYTES:
            size, at = _varint(data, at, end)
        elif wire == _VARINT:
            size = _varint(data, at, end)[1] - at
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise NotOnnx
        if size > end - at:
            raise NotOnnx
        yield (key & 0xFFFFFFFF) >> 3, wire, at, at + size  # protobuf drops the bits above
        at += size


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise NotOnnx
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise NotOnnx
