from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from edgetl.errors import BundleError
from edgetl.pivot.facts import facts_of, read_facts


def _model(name: str) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], ["logits"])],
        "g",
        [helper.make_tensor_value_info(name, TensorProto.UINT8, ["batch", 2, 2, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.UINT8, ["batch", 2, 2, 3])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def test_a_model_with_another_input_is_refused_by_name() -> None:
    found = r"m\.onnx: expected one input of image, audio, tokens, series; found \['pixels'\]"
    with pytest.raises(BundleError, match=found):
        facts_of(_model("pixels"), "m.onnx")


def test_a_model_without_our_metadata_is_refused() -> None:
    with pytest.raises(BundleError, match="labels and preprocessing"):
        facts_of(_model("image"), "m.onnx")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x0a" * 50])
def test_foreign_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"m\.onnx"):
        read_facts(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not a readable ONNX model"):
        read_facts(tmp_path / "none.onnx")
