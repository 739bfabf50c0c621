"""Networks of timm, torchvision and Keras, by PyTorch's two exporters and tf2onnx: equal scores, INT8 by the scheme."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
import timm
import torch
import torchvision
from numpy.typing import NDArray
from tiny_pictures import pictures
from torch import nn

from edgetl.fronts.image.normalize import normalize
from edgetl.imported.network import preprocessing_of
from edgetl.imported.normal_form import NormalForm, to_normal_form
from edgetl.imported.original import Original
from edgetl.imported.pairs import with_pairs
from edgetl.imported.place import place
from edgetl.imported.ranges import observe
from edgetl.imported.read import open_network
from edgetl.pivot.check import check_scheme
from edgetl.pivot.literal import open_literal
from edgetl.recipes.network import USUAL, Network
from edgetl.recipes.targets import load_profile, load_target
from edgetl.types import ImagePreprocessing

pytestmark = pytest.mark.stage

SIZE = 64
P = ImagePreprocessing(SIZE, SIZE, "squash", USUAL["imagenet"].mean, USUAL["imagenet"].std)
KERAS = Path(__file__).with_name("keras.onnx")
"""Made by scripts/make_keras_network.py: tensorflow 2.19.1, Keras 3.15.1, tf2onnx 1.17.0."""
Exporter = Literal["dynamo", "script"]
Images = NDArray[np.float32]


def _network(name: str) -> nn.Module:
    """Random weights, with statistics in its batch norms that are not those of nothing."""
    torch.manual_seed(0)
    library, _, architecture = name.partition(":")
    created = (
        timm.create_model(architecture, pretrained=False, num_classes=10)
        if library == "timm"
        else torchvision.models.get_model(architecture, weights=None, num_classes=10)
    )
    network: nn.Module = created.eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d) and part.running_mean is not None and part.running_var is not None:
            nn.init.normal_(part.running_mean, 0, 0.1)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    return network


@torch.no_grad()
def _exported(name: str, exporter: Exporter, path: Path) -> Path:
    images = torch.randn(2, 3, SIZE, SIZE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            sizes = ({0: torch.export.Dim("batch", min=1, max=64)},)
            torch.onnx.export(_network(name), (images,), path, dynamo=True, dynamic_shapes=sizes, verbose=False)
        else:  # with a fixed batch, as most files have
            torch.onnx.export(_network(name), (images[:1],), path, dynamo=False, opset_version=13)
    return path


def _rounded(form: NormalForm, images: Images, p: ImagePreprocessing) -> onnx.ModelProto:
    scheme = load_target("x86-avx2").scheme
    placement = place(form.model, scheme)
    parameters = observe(form.model, placement, [images], scheme, load_profile("min-max"), p)
    model = with_pairs(form.model, placement, parameters, scheme)
    check_scheme(model, scheme)
    return model


def _scores(model: onnx.ModelProto, images: Images) -> Images:
    (found,) = open_literal(model.SerializeToString()).run(None, {"input": images})
    return np.asarray(found)


def _rounded_scores_agree(form: NormalForm, images: Images) -> bool:
    found, exact = _scores(_rounded(form, images, P), images), _scores(form.model, images)
    return bool(np.abs(found - exact).max() < 0.3 * np.abs(exact).max())


@pytest.mark.parametrize(
    ("name", "exporter"),
    [
        ("timm:mobilenetv2_035", "script"),
        ("timm:tf_mobilenetv3_small_075", "script"),  # pads by the size of what it pads
        ("tv:shufflenet_v2_x0_5", "script"),  # shuffles channels
        ("tv:squeezenet1_1", "dynamo"),
    ],
)
def test_an_exported_network_keeps_its_scores_and_computes_in_int8(
    tmp_path: Path, name: str, exporter: Exporter
) -> None:
    path = _exported(name, exporter, tmp_path / "network.onnx")
    opened = open_network(path, Network(file=path.name))
    form = to_normal_form(opened, USUAL["imagenet"])
    pixels = np.random.default_rng(0).integers(0, 256, (4, SIZE // 8, SIZE // 8, 3)).astype(np.uint8)
    pixels = pixels.repeat(8, 1).repeat(8, 2)
    images = normalize(pixels, P)
    (found,) = open_literal(form.model.SerializeToString()).run(None, {"input": images})
    expected = Original(opened).scores(pixels, USUAL["imagenet"]).reshape(4, -1)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    assert not {node.op_type for node in form.model.graph.node} & {"BatchNormalization", "Shape", "Gather", "Pad"}
    assert _rounded_scores_agree(form, images)


def test_a_network_of_keras_keeps_its_answers_in_int8() -> None:
    settings, how = Network(file=KERAS.name, normalize="bytes"), USUAL["bytes"]
    opened = open_network(KERAS, settings)
    assert (opened.layout, opened.batch, opened.opset) == ("nhwc", None, 17)
    form = to_normal_form(opened, how)
    p = preprocessing_of(settings, opened, how, form.arithmetic, "squash")
    np.testing.assert_allclose((p.mean, p.std), 0.5, rtol=1e-6)  # the file's own scaling of pixels
    assert form.softmax
    kinds = Counter(node.op_type for node in form.model.graph.node)
    assert not kinds.keys() & {"Transpose", "Pad", "Reshape", "Softmax"}
    assert (kinds["HardSigmoid"], kinds["Clip"]) == (2, 5)  # hard swish and a gate; ReLU6
    assert kinds["Squeeze"] == 1  # before the last layer; another one was made up for by a reshape
    pixels, labels = pictures(400, seed=9)
    images = normalize(pixels, p)
    exact, rounded = _scores(form.model, images), _scores(_rounded(form, images[:64], p), images)
    expected = Original(opened).scores(pixels, how)
    np.testing.assert_allclose(exact, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    before, after = (float((scores.argmax(1) == labels).mean()) for scores in (exact, rounded))
    assert before > 0.75
    assert after > before - 0.02
