from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgetl.fronts.image.normalize import affine, normalize
from edgetl.pivot.attach import attach
from edgetl.pivot.facts import facts_of
from edgetl.pivot.preprocess import byte_lattice, on_byte_lattice
from edgetl.types import ImagePreprocessing, as_image

IMAGENET = ImagePreprocessing(6, 4, "squash", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def _identity(p: ImagePreprocessing) -> onnx.ModelProto:
    """A "network" that hands its normalized input on, to look at it."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["input"], ["logits"])],
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, p.height, p.width])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3, p.height, p.width])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_raw_bytes_become_normalized_planes_for_every_batch_size(batch: int) -> None:
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
    scale, offset = affine(ImagePreprocessing(1, 1, "squash", mean, std))
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
    assert facts.quantize == 0


def test_metadata_is_json_that_others_can_read() -> None:
    model = attach(_identity(IMAGENET), IMAGENET, ["a", "b"])
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["edgetl.labels"]) == ["a", "b"]
    assert json.loads(metadata["edgetl.preprocessing"])["height"] == 6


def plain(mean: float, std: float) -> ImagePreprocessing:
    return ImagePreprocessing(4, 6, "squash", (mean,) * 3, (std,) * 3)


@pytest.mark.parametrize(("mean", "zero_point"), [(0.0, 0), (0.5, 128), (128 / 255, 128), (1.0, 255)])
def test_bytes_lie_on_a_lattice_when_all_channels_are_treated_alike(mean: float, zero_point: int) -> None:
    lattice = byte_lattice(plain(mean, 0.25), symmetric=False)
    assert lattice is not None
    assert lattice.zero_point == zero_point
    moved = as_image(on_byte_lattice(plain(mean, 0.25), symmetric=False))
    images = np.arange(256, dtype=np.uint8).repeat(72)[: 4 * 6 * 3 * 64].reshape(-1, 4, 6, 3)
    steps = normalize(images, moved) / np.float32(lattice.scale)
    np.testing.assert_allclose(steps, images.transpose(0, 3, 1, 2).astype(float) - zero_point, atol=1e-3)


def test_there_is_no_lattice_for_channels_of_their_own_or_means_outside_the_bytes() -> None:
    assert byte_lattice(IMAGENET, symmetric=False) is None
    assert byte_lattice(plain(-0.5, 0.5), symmetric=False) is None
    assert on_byte_lattice(IMAGENET, symmetric=False) == IMAGENET


def rounding_network(scale: float, zero_point: int) -> onnx.ModelProto:
    nodes = [
        helper.make_node("QuantizeLinear", ["input", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("ReduceMean", ["d", "axes"], ["logits"], keepdims=0),
    ]
    constants = [
        numpy_helper.from_array(np.array(scale, np.float32), "s"),
        numpy_helper.from_array(np.array(zero_point, np.uint8), "z"),
        numpy_helper.from_array(np.array([2, 3], np.int64), "axes"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 4, 6])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize(("scale", "free"), [(1 / 127.5, True), (0.01, False)])
def test_bytes_are_the_quantized_input_itself_where_the_network_rounds_onto_them(scale: float, free: bool) -> None:
    p = plain(0.5, 0.5)
    model = attach(rounding_network(scale, 128), p, ("a", "b", "c"))
    assert ("QuantizeLinear" not in [node.op_type for node in model.graph.node]) is free
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3)).astype(np.uint8)
    (found,) = ReferenceEvaluator(model).run(None, {"image": images})
    expected = normalize(images, as_image(on_byte_lattice(p, symmetric=False))).mean(axis=(2, 3))
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-5 if free else 0.005)


def test_a_zero_point_in_the_middle_has_a_lattice_for_a_mean_of_a_half_only() -> None:
    lattice = byte_lattice(plain(0.5, 0.25), symmetric=True)
    assert lattice is not None
    assert lattice.zero_point == 128
    assert byte_lattice(plain(0.4, 0.25), symmetric=True) is None
    assert on_byte_lattice(plain(0.4001, 0.25), symmetric=True) == plain(0.4001, 0.25)


def test_a_network_with_its_zero_point_in_the_middle_gets_the_mean_it_was_quantized_with() -> None:
    p = plain(0.4001, 0.25)  # the nearest uint8 lattice has 0.4
    model = attach(rounding_network(0.01, 128), p, ("a", "b", "c"))
    (offset,) = [numpy_helper.to_array(each) for each in model.graph.initializer if each.name == "image_offset"]
    np.testing.assert_allclose(offset, affine(p)[1][0], rtol=1e-7)
