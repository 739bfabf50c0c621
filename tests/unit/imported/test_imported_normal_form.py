"""Every look of a file becomes one form, which gives the same scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx_networks import IMAGENET_MEAN, IMAGENET_STD, Look, network, write_network
from tiny_network import LAYERS, pictures

from edgetl.errors import EdgetlError
from edgetl.fronts.image.normalize import normalize
from edgetl.imported.network import preprocessing_of
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
