"""Every look of a file becomes one form, which gives the same scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx_networks import IMAGENET_MEAN, IMAGENET_STD, Look, body, network, write_network
from tiny_network import LAYERS, SIZE, pictures

from edgetl.errors import EdgetlError
from edgetl.fronts.image.normalize import normalize
from edgetl.imported.network import normalization_of, preprocessing_of
from edgetl.imported.normal_form import NormalForm, to_normal_form
from edgetl.imported.original import Original
from edgetl.imported.read import Opened, open_network
from edgetl.pivot.layer_view import View
from edgetl.pivot.literal import open_literal
from edgetl.recipes.network import USUAL, Network, Normalization

UNIT, BYTES = USUAL["unit"], USUAL["bytes"]
TURNED = Normalization(255.0, IMAGENET_MEAN[::-1], IMAGENET_STD[::-1], "bgr")
LOOKS = {
    "planes first": (Look(), USUAL["imagenet"]),
    "planes last": (Look(layout="nhwc"), USUAL["imagenet"]),
    "a fixed batch of one": (Look(batch=1), USUAL["imagenet"]),
    "a fixed batch of four": (Look(batch=4, layout="nhwc"), USUAL["imagenet"]),
    "a softmax": (Look(softmax=True), USUAL["imagenet"]),
    "scores as planes": (Look(planes=True, softmax=True), USUAL["imagenet"]),
    "blue first": (Look(bgr=True), TURNED),
    "blue last axis first": (Look(bgr=True, layout="nhwc"), TURNED),
    "its own normalization": (Look(inside=True), UNIT),
    "its own normalization, planes last": (Look(inside=True, layout="nhwc"), UNIT),
    "bytes": (Look(takes_bytes=True, inside=True), BYTES),
    "bytes, planes last, one image": (Look(takes_bytes=True, inside=True, layout="nhwc", batch=1), BYTES),
}


def formed(path: Path, look: Look, how: Normalization) -> tuple[Opened, NormalForm]:
    opened = open_network(write_network(path, look), Network(file=path.name))
    return opened, to_normal_form(opened, how)


@pytest.mark.parametrize("name", LOOKS)
def test_every_look_becomes_one_form_with_the_same_scores(tmp_path: Path, name: str) -> None:
    look, how = LOOKS[name]
    opened, form = formed(tmp_path / "network.onnx", look, how)
    images, labels = pictures(40, seed=3)
    p = preprocessing_of(Network(file="network.onnx"), opened, how, form.arithmetic, "squash")
    (found,) = open_literal(form.model.SerializeToString()).run(None, {"input": normalize(images, p)})
    np.testing.assert_allclose(found, Original(opened).scores(images, how).reshape(40, -1), rtol=1e-3, atol=1e-3)
    assert np.mean(found.argmax(1) == labels) > 0.7
    assert form.softmax == look.softmax


@pytest.mark.parametrize("name", LOOKS)
def test_arithmetic_layouts_and_colors_leave_no_node(tmp_path: Path, name: str) -> None:
    _, form = formed(tmp_path / "network.onnx", *LOOKS[name])
    first = form.model.graph.node[0]
    left = {node.op_type for node in form.model.graph.node}
    if not LOOKS[name][0].bgr:
        assert first.op_type == "Conv"
        assert not left & {"Transpose", "Cast", "Sub", "Div", "Softmax"}


def _gray(path: Path, layout: str) -> Path:
    """The network on the sum of its colors, as Keras writes one of gray images: NHWC, reshaped to planes."""
    model = body()
    graph = model.graph
    (weight,) = (tensor for tensor in graph.initializer if tensor.name == "stem.weight")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).sum(1, keepdims=True), weight.name))
    sizes = [1, SIZE, SIZE] if layout == "nchw" else [SIZE, SIZE, 1]
    if layout == "nhwc":
        graph.initializer.append(numpy_helper.from_array(np.array([-1, 1, SIZE, SIZE]), "planes"))
        stem = next(node for node in graph.node if node.op_type == "Conv")
        graph.initializer.append(numpy_helper.from_array(np.array([1.5], np.float32), "factor"))
        graph.node.insert(0, helper.make_node("Reshape", ["scaled", "planes"], [stem.input[0]], "to_planes"))
        graph.node.insert(0, helper.make_node("Mul", ["gray", "factor"], ["scaled"], "scale"))
    name = "gray" if layout == "nhwc" else graph.input[0].name
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", *sizes]))
    onnx.save_model(model, path)
    return path


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_a_network_for_gray_images_takes_colors(tmp_path: Path, layout: str) -> None:
    opened = open_network(_gray(tmp_path / "network.onnx", layout), Network(file="network.onnx"))
    assert (opened.layout, opened.channels) == (layout, 1)
    how = normalization_of(opened, Network(file="network.onnx"))
    assert how == UNIT
    form = to_normal_form(opened, how)
    assert form.model.graph.node[0].op_type == "Conv"
    images, _ = pictures(40, seed=3)
    p = preprocessing_of(Network(file="network.onnx"), opened, how, form.arithmetic, "squash")
    (found,) = open_literal(form.model.SerializeToString()).run(None, {"input": normalize(images, p)})
    np.testing.assert_allclose(found, Original(opened).scores(images, how), rtol=1e-3, atol=1e-4)
    same = np.repeat(images[..., :1], 3, axis=-1)  # a gray picture: its bytes are what the network was trained on
    given = np.float32(same[..., :1].transpose(0, 3, 1, 2) / 255).reshape(-1, *opened_shape(opened))
    (expected,) = open_literal(opened.model.SerializeToString()).run(None, {opened.input_name: given})
    np.testing.assert_allclose(Original(opened).scores(same, how), expected, rtol=1e-4, atol=1e-5)


def opened_shape(opened: Opened) -> tuple[int, int, int]:
    return (1, SIZE, SIZE) if opened.layout == "nchw" else (SIZE, SIZE, 1)


@pytest.mark.parametrize("given", [{"normalize": "imagenet"}, {"color": "bgr"}, {"mean": (0.1, 0.2, 0.3)}])
def test_colors_treated_apart_do_not_suit_a_network_for_gray_images(tmp_path: Path, given: dict[str, Any]) -> None:
    settings = Network(file="network.onnx", **given)
    opened = open_network(_gray(tmp_path / "network.onnx", "nchw"), settings)
    with pytest.raises(EdgetlError, match="the network takes gray images, so mean and std are one number each"):
        normalization_of(opened, settings)


def test_layers_are_named_after_their_weights(tmp_path: Path) -> None:
    _, form = formed(tmp_path / "network.onnx", *LOOKS["planes last"])
    assert tuple(View(form.model).layers) == ()
    assert tuple(node.name for node in View(form.model).compute) == LAYERS


def test_a_batch_norm_goes_into_its_convolution(tmp_path: Path) -> None:
    model = network()
    graph = model.graph
    conv = next(node for node in graph.node if node.op_type == "Conv")
    rng = np.random.default_rng(0)
    for name in ("gamma", "beta", "center", "variance"):
        graph.initializer.append(numpy_helper.from_array(rng.uniform(0.5, 1.5, 8).astype(np.float32), name))
    norm = helper.make_node(
        "BatchNormalization", ["plain", "gamma", "beta", "center", "variance"], [conv.output[0]], "norm"
    )
    conv.output[0] = "plain"
    graph.node.insert(list(graph.node).index(conv) + 1, norm)
    path = tmp_path / "network.onnx"
    onnx.save_model(model, path)
    opened = open_network(path, Network(file=path.name))
    assert to_normal_form(opened, UNIT).norms == (1, 0)


def test_scores_that_are_no_row_for_each_image_are_refused(tmp_path: Path) -> None:
    model = network()
    graph = model.graph
    gone = next(node for node in graph.node if node.op_type in ("Gemm", "MatMul"))
    before = gone.input[0]
    maps = next(node for node in graph.node if node.op_type == "ReduceMean").input[0]
    graph.node.remove(gone)
    for node in list(graph.node):
        if gone.output[0] in node.input or before in node.output:
            graph.node.remove(node)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(maps, onnx.TensorProto.FLOAT, ["n", 12, 8, 8]))
    path = tmp_path / "network.onnx"
    onnx.save_model(model, path)
    opened = open_network(path, Network(file=path.name))
    with pytest.raises(EdgetlError, match=r"expected one row of two or more class scores .* found the shape \(2, 12,"):
        to_normal_form(opened, UNIT)


def test_a_sigmoid_at_the_end_is_refused(tmp_path: Path) -> None:
    model = network()
    name = model.graph.output[0].name
    model.graph.node.append(helper.make_node("Sigmoid", [name], ["chances"], "many"))
    model.graph.output[0].name = "chances"
    path = tmp_path / "network.onnx"
    onnx.save_model(model, path)
    with pytest.raises(EdgetlError, match=r"node `many` \(Sigmoid\) gives every class a probability of its own"):
        to_normal_form(open_network(path, Network(file=path.name)), UNIT)


def test_a_choice_in_the_graph_is_named(tmp_path: Path) -> None:
    model = network()
    graph = model.graph
    name = graph.output[0].name
    branches = []
    for sign in ("Identity", "Neg"):
        result = helper.make_tensor_value_info(f"{sign}_result", onnx.TensorProto.FLOAT, None)
        branches.append(helper.make_graph([helper.make_node(sign, [name], [result.name])], sign, [], [result]))
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "zero"))
    graph.node.extend(
        [
            helper.make_node("ReduceMax", [name], ["most"], "most", keepdims=0),
            helper.make_node("Greater", ["most", "zero"], ["positive"], "positive"),
            helper.make_node(
                "If", ["positive"], ["chosen"], "choice", then_branch=branches[0], else_branch=branches[1]
            ),
        ]
    )
    graph.output[0].name = "chosen"
    path = tmp_path / "network.onnx"
    onnx.save_model(model, path)
    with pytest.raises(EdgetlError, match=r"node `choice` \(If\): control flow is not supported"):
        to_normal_form(open_network(path, Network(file=path.name)), UNIT)


def test_a_class_token_that_is_repeated_for_the_batch_keeps_it_open(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A token is put beside the scores, as many times as there are images, and its score is added to each."""
    model = network()
    graph = model.graph
    (scores,) = (value.name for value in graph.output)
    values = {"token": np.ones((1, 4), np.float32), "four": np.array([4]), "first": np.array([0]), "one": np.array([1])}
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items())
    graph.initializer.append(numpy_helper.from_array(np.array([1]), "along"))
    graph.node.extend(
        [
            helper.make_node("Shape", ["photo"], ["sizes"]),
            helper.make_node("Slice", ["sizes", "first", "one"], ["images"]),
            helper.make_node("Concat", ["images", "four"], ["wanted"], axis=0),
            helper.make_node("Expand", ["token", "wanted"], ["tokens"]),
            helper.make_node("Concat", [scores, "tokens"], ["both"], axis=1),
            helper.make_node("Slice", ["both", "first", "four", "along"], ["answer"]),
        ]
    )
    graph.output[0].name = "answer"
    path = tmp_path / "network.onnx"
    onnx.save_model(model, path)
    opened = open_network(path, Network(file=path.name))
    form = to_normal_form(opened, USUAL["imagenet"])
    images, _ = pictures(6, seed=3)
    given = normalize(
        images,
        preprocessing_of(
            opened=opened,
            settings=Network(file="n"),
            how=USUAL["imagenet"],
            arithmetic=form.arithmetic,
            resize="squash",
        ),
    )
    (found,) = open_literal(form.model.SerializeToString()).run(None, {"input": given})
    np.testing.assert_allclose(found, Original(opened).scores(images, USUAL["imagenet"]), rtol=1e-3, atol=1e-3)
    assert capfd.readouterr().err == ""
