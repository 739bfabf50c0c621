"""Bundles and pivots whose digests fit and whose contents do not: what somebody who can write a manifest can make."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

MANIFEST = "manifest.json"


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a JSON file says."""
    described = json.loads(file.read_text(encoding="utf-8"))
    change(described)
    file.write_text(json.dumps(described), encoding="utf-8")


def refit(bundle: Path, name: str, data: bytes) -> None:
    """Replace a file of a bundle, in its manifest too."""
    (bundle / name).write_bytes(data)
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    edit(bundle / MANIFEST, lambda manifest: manifest["files"].update({name: entry}))


def refit_pivot(pivot: Path, name: str, data: bytes) -> None:
    """Replace a file of a pivot, in its description too."""
    (pivot / name).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()

    def change(described: dict[str, Any]) -> None:
        described["digests"][name] = digest
        for model in described["models"]:
            if model["file"] == name:
                model["sha256"] = digest

    edit(pivot / "pivot.json", change)


def change_model(path: Path, change: Callable[[onnx.ModelProto], object]) -> bytes:
    """The ONNX file at `path`, changed."""
    model = onnx.load_model(path, load_external_data=False)
    change(model)
    return bytes(model.SerializeToString())


def put_outside(model: onnx.ModelProto) -> None:
    """Say of the largest tensor that it lies in `w.bin`."""
    tensor = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    size = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "w.bin"), ("offset", "0"), ("length", str(size))):
        tensor.external_data.add(key=key, value=value)


def put_outside_in_a_branch(model: onnx.ModelProto) -> None:
    """The same inside a graph of a node."""
    inside = TensorProto(name="inside", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    inside.external_data.add(key="location", value="w.bin")
    value = helper.make_tensor_value_info("inside", TensorProto.FLOAT, [1])
    branch = helper.make_graph([], "branch", [], [value], [inside])
    nodes = [helper.make_node("If", ["which"], ["chosen"], then_branch=branch, else_branch=branch)]
    model.graph.node.extend(nodes)
    model.graph.initializer.append(helper.make_tensor("which", TensorProto.BOOL, [], [True]))


def claim_huge_tensor(model: onnx.ModelProto) -> None:
    """A tensor of 2**62 elements without a byte of data, which an operator reads."""
    model.graph.initializer.append(TensorProto(name="huge", data_type=TensorProto.FLOAT, dims=[2**31, 2**31]))
    model.graph.node.append(helper.make_node("Identity", ["huge"], ["copy"]))
    model.graph.output.append(helper.make_tensor_value_info("copy", TensorProto.FLOAT, [2**31, 2**31]))


def _rewire_logits(model: onnx.ModelProto) -> int:
    """Free the name `logits` for nodes behind the network; returns the number of classes."""
    last = next(node for node in model.graph.node if "logits" in node.output)
    last.output[list(last.output).index("logits")] = "before"
    return int(model.graph.output[0].type.tensor_type.shape.dim[1].dim_value)


def never_end(model: onnx.ModelProto) -> None:
    """A loop of 2**62 rounds behind the network."""
    classes = _rewire_logits(model)
    batch: list[str | int | None] = ["n", classes]
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["still"]), helper.make_node("Add", ["v", "v"], ["twice"])],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, batch),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("twice", TensorProto.FLOAT, batch),
        ],
    )
    model.graph.initializer.append(helper.make_tensor("rounds", TensorProto.INT64, [], [2**62]))
    model.graph.initializer.append(helper.make_tensor("begin", TensorProto.BOOL, [], [True]))
    model.graph.node.append(helper.make_node("Loop", ["rounds", "begin", "before"], ["logits"], body=body))


def need_terabytes(model: onnx.ModelProto) -> None:
    """A constant of 4 TiB that is only made when the network runs."""
    need_memory(model, 2**42)


def need_memory(model: onnx.ModelProto, size_bytes: int) -> None:
    """A constant of that size, only made when the network runs."""
    _rewire_logits(model)
    model.graph.initializer.append(helper.make_tensor("shape", TensorProto.INT64, [1], [size_bytes // 4]))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["shape"], ["zeros"]))
    model.graph.node.append(helper.make_node("ReduceSum", ["zeros"], ["sum_of_zeros"], keepdims=0))
    model.graph.node.append(helper.make_node("Add", ["before", "sum_of_zeros"], ["logits"]))


def float8_logits(images: int, classes: int) -> bytes:
    """A safetensors file with a number format that numpy has not."""
    size = images * classes
    described = {"logits": {"dtype": "F8_E4M3", "shape": [images, classes], "data_offsets": [0, size]}}
    head = json.dumps(described).encode()
    return struct.pack("<Q", len(head)) + head + bytes(size)


def deep_npy_header() -> bytes:
    """An .npy file whose header is 9,000 opening brackets."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", 9046) + b"(" * 9000 + b" " * 45 + b"\n"


def npy_of_terabytes() -> bytes:
    """An .npy file that claims a million by a million pixels and holds none."""
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000, 3), }"
    padded = header + b" " * (118 - len(header) - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded
