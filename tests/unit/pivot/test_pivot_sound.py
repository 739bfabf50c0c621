"""Networks for sound become pivots: proven on samples, from the port to the logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edgetl.backbones.audio.front_end import MelFrontEnd
from edgetl.backbones.audio.kws_lstm import KeywordRecurrent
from edgetl.backbones.audio.native import ClipSource
from edgetl.backbones.load import build
from edgetl.backbones.weights import locate
from edgetl.pivot.attach_audio import attach_audio
from edgetl.pivot.fold import fold
from edgetl.pivot.from_torch import capture, to_onnx
from edgetl.pivot.literal import open_literal
from edgetl.recipes.fronts import Audio
from edgetl.recipes.recipe import Backbone
from edgetl.types import AudioPreprocessing


def settled(network: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """With statistics of batch norms that are not those of a fresh network."""
    torch.manual_seed(0)
    with torch.no_grad():
        for _ in range(20):
            network.train()(torch.randn(8, *shape))
    return network.eval()


@pytest.mark.stage
@pytest.mark.parametrize("name", ["speech_embedding", "kws_ds_cnn_l", "kws_gru_m", "bc_resnet_1"])
def test_the_pivot_hears_samples_as_torch_does(name: str) -> None:
    backbone = Backbone(name=name, pretrained=False)
    network, spec, _ = build(backbone, locate(backbone, Path(), ()), 3, ClipSource(16000, Audio(window_s=0.8)))
    p = spec.preprocessing
    assert isinstance(p, AudioPreprocessing)
    folded = fold(settled(network, p.network_shape), p.network_shape)
    assert folded.left <= 1  # that on the input, which no layer is before
    model = attach_audio(to_onnx(folded.module, p.network_shape), p, ["a", "b", "c"])
    samples = np.random.default_rng(0).integers(-3000, 3000, (3, p.samples), dtype=np.int16)
    found = open_literal(model.SerializeToString()).run(None, {"audio": samples})[0]
    with torch.inference_mode():
        expected = network(MelFrontEnd(p)(torch.from_numpy(samples))).numpy()
    assert np.ptp(expected, axis=0).max() > 1e-4
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.stage
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_recurrent_weights_are_constants_in_the_pivot(kind: str) -> None:
    network = KeywordRecurrent(3, 10, kind, 200).eval()
    model = to_onnx(network, (1, 6, 10))
    constants = {tensor.name for tensor in model.graph.initializer}
    (layer,) = (node for node in model.graph.node if node.op_type == kind.upper())
    assert constants.issuperset(layer.input[1:4])
    heard = torch.randn(5, 1, 6, 10, generator=torch.Generator().manual_seed(0))
    found = open_literal(model.SerializeToString()).run(None, {"input": heard.numpy()})[0]
    with torch.inference_mode():
        np.testing.assert_allclose(found, network(heard), atol=1e-6)
    onnx.checker.check_model(model, full_check=True)


def test_a_recurrent_network_can_be_captured_for_quantization() -> None:
    network = KeywordRecurrent(3, 10, "lstm", 16).eval()
    captured = capture(network, (1, 6, 10))
    heard = torch.randn(3, 1, 6, 10, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        np.testing.assert_allclose(captured(heard), network(heard), atol=1e-6)
