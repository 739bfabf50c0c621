"""What cannot be imported is refused in one line that names the place and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_networks import network, write_network
from tiny_network import quantized_pivot

from edgetl.errors import EdgetlError
from edgetl.imported.read import network_digest, open_network
from edgetl.recipes.network import Network

Change = Callable[[onnx.ModelProto], None]


def settings(**values: object) -> Network:
    return Network.model_validate({"file": "network.onnx", **values})


def _shape(*sizes: int | str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        kind = model.graph.input[0].type.tensor_type.elem_type
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info("photo", kind, sizes))

    return change


def _kind(kind: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.elem_type = kind

    return change


def _opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 11


def _second_output(model: onnx.ModelProto) -> None:
    model.graph.output.append(
        helper.make_tensor_value_info(model.graph.node[0].output[0], TensorProto.FLOAT, ["n", 8, 8, 8])
    )


def _own_operator(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("my.lab", 1))
    model.graph.node[1].domain, model.graph.node[1].name = "my.lab", "strange"


def _not_converted(model: onnx.ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type == "Relu")
    node.name, node.op_type = "strange", "StatefulPartitionedCall"  # as tf2onnx leaves a convolution of one filter


def _half_weights(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_shape("n", 3, 16), "expected an image, float32 or uint8, of shape"),
        (_kind(TensorProto.INT64), "found int64 (?, 3, 16, 16)"),
        (_shape("n", 4, 16, 16), "expected an input with 3 color channels, or 1 of gray, found the shape (?, 4, 16,"),
        (_shape("n", 3, "h", "w"), "set network.input_size"),
        (_shape("n", 3, 3, 3), "set layout: nchw or nhwc"),
        (_opset, "expected opset 13 to 23, found 11"),
        (_second_output, "expected one output, found 2 (`logits`, `conv2d`); name the one with the class scores"),
        (_own_operator, "node `strange` (Relu): the operator is of the domain `my.lab`"),
        (_not_converted, "node `strange` (StatefulPartitionedCall): ONNX has no such operator in opset "),
        (_half_weights, "expected float32 weights, found float16"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused_in_one_line(tmp_path: Path, change: Change, expected: str) -> None:
    model = network()
    change(model)
    path = tmp_path / "network.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(EdgetlError) as refused:
        open_network(path, settings())
    assert expected in str(refused.value)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


def test_one_of_several_outputs_is_chosen_by_name(tmp_path: Path) -> None:
    model = network()
    _second_output(model)
    path = tmp_path / "network.onnx"
    onnx.save_model(model, path)
    opened = open_network(path, settings(output="logits"))
    assert [value.name for value in opened.model.graph.output] == ["logits"]
    with pytest.raises(EdgetlError, match=r"network.output: no output `scores`; the file has `logits`, `conv2d`"):
        open_network(path, settings(output="scores"))


def test_a_layout_that_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    path = write_network(tmp_path / "network.onnx")
    with pytest.raises(EdgetlError, match=r"layout: nhwc has its 3 colors last, but .* use layout: nchw"):
        open_network(path, settings(layout="nhwc"))


def test_a_size_that_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    path = write_network(tmp_path / "network.onnx")
    with pytest.raises(EdgetlError, match="the file takes 16x16 pixels, found 32x32"):
        open_network(path, settings(input_size=32))


def test_a_quantized_network_is_refused_by_its_first_pair(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    onnx.save_model(quantized_pivot(), path)
    with pytest.raises(EdgetlError, match="already quantized; give the float network"):
        open_network(path, settings())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "an empty file"),
        (b"\x08\x07\x12", "not an ONNX file, or truncated"),
        (b"version https://git-lfs.github.com/spec/v1\n", "LFS"),
    ],
)
def test_a_file_that_is_not_onnx_is_named(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(content)
    with pytest.raises(EdgetlError, match=expected):
        open_network(path, settings())


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    data = network().SerializeToString()
    path = tmp_path / "network.onnx"
    for size in range(1, len(data), len(data) // 40):
        path.write_bytes(data[:size])
        with pytest.raises(EdgetlError):
            open_network(path, settings())


def test_weights_beside_the_file_are_read_and_part_of_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    onnx.save_model(network(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    opened, before = open_network(path, settings()), network_digest(path)
    assert {each.name for each in opened.model.graph.initializer} == {each.name for each in network().graph.initializer}
    weights = bytearray((tmp_path / "weights.bin").read_bytes())
    weights[5] ^= 1
    (tmp_path / "weights.bin").write_bytes(weights)
    assert network_digest(path) != before


def test_missing_weights_are_named(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    onnx.save_model(network(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(EdgetlError, match=r"its weights are in `weights.bin`, which is missing"):
        open_network(path, settings())


def test_weights_outside_of_the_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    path = folder / "network.onnx"
    onnx.save_model(network(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (folder / "weights.bin").rename(tmp_path / "weights.bin")
    path.write_bytes(path.read_bytes().replace(b"weights.bin", b"../eights.b"))
    (tmp_path / "weights.bin").rename(tmp_path / "eights.b")
    with pytest.raises(EdgetlError, match="its weights cannot be read"):
        open_network(path, settings())
