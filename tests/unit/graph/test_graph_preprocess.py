from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edgetl.graph.facts import facts_of
from edgetl.graph.preprocess import affine, attach, normalize
from edgetl.types import Preprocessing

IMAGENET = Preprocessing(6, 4, "squash", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def _identity(p: Preprocessing) -> onnx.ModelProto:
    """A "network" that hands its normalised input on, to look at it."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["input"], ["logits"])],
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, p.height, p.width])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3, p.height, p.width])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_raw_bytes_become_normalised_planes_for_every_batch_size(batch: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (batch, 6, 4, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(attach(_identity(IMAGENET), IMAGENET, ["a"]).SerializeToString())
    found = session.run(None, {"image": images})[0]
    expected = (images / 255.0 - np.array(IMAGENET.mean)) / np.array(IMAGENET.std)
    assert found.shape == (batch, 3, 6, 4)
    np.testing.assert_allclose(found, expected.transpose(0, 3, 1, 2), atol=2e-6)
    np.testing.assert_array_equal(found, normalize(images, IMAGENET))


@settings(max_examples=50, deadline=None)
@given(
    mean=st.tuples(*[st.floats(0, 1)] * 3),
    std=st.tuples(*[st.floats(0.05, 1)] * 3),
    byte=st.integers(0, 255),
)
def test_one_multiplication_and_one_addition_are_the_usual_formula(
    mean: tuple[float, float, float], std: tuple[float, float, float], byte: int
) -> None:
    scale, offset = affine(Preprocessing(1, 1, "squash", mean, std))
    expected = (byte / 255 - np.array(mean)) / np.array(std)
    np.testing.assert_allclose(byte * scale.astype(np.float64) + offset, expected, atol=1e-5)


def test_the_bytes_go_only_into_a_cast_because_tensorrt_takes_them_nowhere_else() -> None:
    model = attach(_identity(IMAGENET), IMAGENET, ["a"])
    assert [node.op_type for node in model.graph.node if "image" in node.input] == ["Cast"]


def test_labels_and_preprocessing_travel_in_the_model() -> None:
    facts = facts_of(attach(_identity(IMAGENET), IMAGENET, ["Ölfleck", "ok"]), "m")
    assert facts.labels == ("Ölfleck", "ok")
    assert facts.preprocessing == IMAGENET
    assert facts.input_shape == (None, 6, 4, 3)
    assert not facts.has_qdq


def test_metadata_is_json_that_others_can_read() -> None:
    model = attach(_identity(IMAGENET), IMAGENET, ["a", "b"])
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["edgetl.labels"]) == ["a", "b"]
    assert json.loads(metadata["edgetl.preprocessing"])["height"] == 6
