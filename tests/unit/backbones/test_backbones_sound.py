"""Networks for sound: loaded, audited, equal to their definitions, trainable, and refused where they do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from audio_definitions import clips, definition, unit
from torch import Tensor, nn

from edgetl.backbones.audio.front_end import MelFrontEnd
from edgetl.backbones.audio.native import ClipSource
from edgetl.backbones.audio.networks import NETWORKS
from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.classifier import features
from edgetl.backbones.freeze import blocks
from edgetl.backbones.load import build, rebuild
from edgetl.backbones.spec import read_spec, write_spec
from edgetl.backbones.weights import locate
from edgetl.errors import UsageError, WeightsError
from edgetl.recipes.fronts import Audio
from edgetl.recipes.recipe import Backbone
from edgetl.types import AudioPreprocessing, NetworkSpec
from edgetl.types.findings import Audit

PUBLISHED = ("speech_embedding", "kws_ds_cnn_l", "kws_lstm_m")


def opened(
    name: str, folder: Path | None = None, audio: Audio | None = None, file_rate_hz: int = 16000
) -> tuple[nn.Module, NetworkSpec, Audit]:
    """A network for three classes: pretrained from `folder` of weights, otherwise with random weights."""
    backbone = Backbone(name=name, pretrained=folder is not None)
    if folder is not None and not (folder / name).is_dir():
        pytest.skip(f"no pretrained network here: {name}")
    source = locate(backbone, Path(), () if folder is None else (folder,))
    return build(backbone, source, 3, ClipSource(file_rate_hz, audio or Audio()))


def embedded(network: nn.Module, spec: NetworkSpec, shared: Path) -> Tensor:
    """What enters the classifier, for nine real clips."""
    assert isinstance(spec.preprocessing, AudioPreprocessing)
    heard = MelFrontEnd(spec.preprocessing)(torch.from_numpy(clips(shared)))
    with torch.inference_mode():
        return features(network, spec.classifier, heard)[0]


def test_the_speech_embedding_is_googles(shared: Path) -> None:
    network, spec, _ = opened("speech_embedding", shared / "weights")
    found = embedded(network, spec, shared).reshape(9, 96, 3)
    # of Google's own file in onnxruntime: first values of the first window, last values of the last window
    bed = [-6.95, 9.84, 33.82, -8.29, 10.63, 9.66], [0.11, 15.92, -10.99, -31.42, -9.55, 23.83]
    happy = [6.51, 26.96, -8.55, -3.79, 25.68, 22.12], [-27.22, 9.90, 12.03, -34.37, -12.08, -5.18]
    for clip, (first, last) in ((0, bed), (6, happy)):  # the weights are rounded to float16
        np.testing.assert_allclose(found[clip, :6, 0], first, atol=0.06)
        np.testing.assert_allclose(found[clip, -6:, 2], last, atol=0.06)


def test_without_its_first_rectifier_it_is_the_copy_that_others_converted(shared: Path) -> None:
    network, spec, _ = opened("speech_embedding", shared / "weights")
    first = network.get_submodule("body.0.0")
    first.forward = lambda x: nn.Conv2d.forward(first, x)  # type: ignore[arg-type]
    copied = definition(shared, "speech_embedding").build()
    assert isinstance(spec.preprocessing, AudioPreprocessing)
    heard = MelFrontEnd(spec.preprocessing)(torch.from_numpy(clips(shared)))
    with torch.inference_mode():
        found = features(network, spec.classifier, heard)[0].reshape(9, 96, 3)
        expected = copied(heard[:, 0])
    np.testing.assert_allclose(found.transpose(1, 2), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["kws_ds_cnn_l", "kws_lstm_m"])
def test_keyword_networks_are_those_that_were_published(name: str, shared: Path) -> None:
    network, spec, _ = opened(name, shared / "weights")
    cepstrum = definition(shared, "kws_ds_cnn_l").mfcc(unit(clips(shared)))
    published = definition(shared, name).build()
    with torch.inference_mode():
        expected = published.features(cepstrum)
    np.testing.assert_allclose(embedded(network, spec, shared), expected, atol=1e-3)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_tensor_is_accounted_for(name: str, shared: Path) -> None:
    network, spec, audit = opened(name, shared / "weights")
    new = {f"{spec.classifier}.weight", f"{spec.classifier}.bias"}
    assert set(audit.new) == new
    assert audit.matched == len(network.state_dict()) - 2
    assert set(audit.dropped) == ({"bands", "window"} if name == "speech_embedding" else new)
    assert "Apache-2.0" in spec.licence
    assert spec.library == "edgetl"


def test_a_tensor_that_is_missing_is_refused_by_name(tmp_path: Path) -> None:
    network, _, _ = opened("kws_lstm_m", audio=Audio(coefficients=10))
    state = {name: tensor for name, tensor in network.state_dict().items() if name != "lstm.bias_hh_l0"}
    (tmp_path / "kws_lstm_m").mkdir()
    write_checkpoint(state, tmp_path / "kws_lstm_m" / "model.safetensors")
    with pytest.raises(WeightsError, match=r"do not fit `kws_lstm_m`.*lstm.bias_hh_l0 is missing"):
        opened("kws_lstm_m", tmp_path)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_rebuilt_from_its_description(name: str, tmp_path: Path) -> None:
    network, spec, _ = opened(name, audio=Audio(window_s=1.2), file_rate_hz=8000)
    write_spec(spec, tmp_path / "network.json")
    write_checkpoint(network.state_dict(), tmp_path / "state.safetensors")
    again = rebuild(read_spec(tmp_path / "network.json"), tmp_path / "state.safetensors")
    heard = torch.randn(2, *spec.preprocessing.network_shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(again(heard), network(heard))
    assert isinstance(spec.preprocessing, AudioPreprocessing)
    assert (spec.preprocessing.samples, spec.preprocessing.file_rate_hz) == (19200, 8000)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_of_a_network_can_learn(name: str) -> None:
    network, spec, _ = opened(name)
    torch.manual_seed(0)
    heard = torch.randn(4, *spec.preprocessing.network_shape)
    loss = nn.functional.cross_entropy(network.train()(heard), torch.tensor([0, 1, 2, 0]))
    loss.backward()  # type: ignore[no-untyped-call]
    still = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert not still


@pytest.mark.parametrize("name", NETWORKS)
def test_parts_can_be_frozen_one_by_one(name: str) -> None:
    network, spec, _ = opened(name)
    parts = blocks(network, spec.classifier)
    assert len(parts) >= (1 if name.endswith("_m") else 10)
    assert not any(spec.classifier.startswith(part) for part in parts)


@pytest.mark.parametrize(("seconds", "windows"), [(0.775, 1), (1.0, 3), (2.0, 16)])
def test_a_longer_window_gives_more_embeddings_side_by_side(seconds: float, windows: int) -> None:
    network, _, _ = opened("speech_embedding", audio=Audio(window_s=seconds))
    assert network.get_submodule("classifier").in_features == 96 * windows


@pytest.mark.parametrize(
    ("name", "audio", "sentence"),
    [
        (
            "speech_embedding",
            Audio(window_s=0.7),
            "audio.window_s: `speech_embedding` needs at least 0.775 s; found 0.7",
        ),
        (
            "speech_embedding",
            Audio(bands=24),
            "audio.bands: `speech_embedding` takes 32 to 63 values a frame; found 24",
        ),
        ("speech_embedding", Audio(coefficients=13), "audio.coefficients: `speech_embedding` takes 32 to 63 values"),
        ("bc_resnet_1", Audio(low_hz=9000), "mel: expected low_hz < high_hz <= 8000, half the rate; found 9000 and"),
        ("bc_resnet_9", Audio(), "backbone.name: no network for sound is called `bc_resnet_9`; did you mean"),
        ("mobilenetv2_100", Audio(), "backbone.name: no network for sound is called `mobilenetv2_100`; valid are:"),
    ],
)
def test_what_a_network_cannot_hear_is_refused(name: str, audio: Audio, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        opened(name, audio=audio)
    assert str(refused.value).startswith(sentence)


def test_a_pretrained_network_keeps_its_rate(tmp_path: Path) -> None:
    (tmp_path / "speech_embedding").mkdir()
    (tmp_path / "speech_embedding" / "model.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match=r"audio.rate_hz: `speech_embedding` was trained at 16000 Hz; leave it out"):
        opened("speech_embedding", tmp_path, Audio(rate_hz=8000))


def test_random_weights_hear_what_the_recipe_says() -> None:
    audio = Audio(rate_hz=8000, bands=20, frame_ms=32, hop_ms=20, low_hz=100)
    _, spec, _ = opened("bc_resnet_1", audio=audio)
    assert isinstance(spec.preprocessing, AudioPreprocessing)
    mel = spec.preprocessing.mel
    assert (mel.window, mel.hop, mel.dft, mel.bands, mel.low_hz, mel.high_hz) == (256, 160, 256, 20, 100, 3800)
    assert spec.preprocessing.network_shape == (1, 49, 20)


def test_weights_that_no_folder_has_are_not_downloaded() -> None:
    backbone = Backbone(name="speech_embedding")
    with pytest.raises(WeightsError, match=r"expected them as `speech_embedding/model.safetensors` in a folder"):
        build(backbone, locate(backbone, Path(), ()), 3, ClipSource(16000, Audio()))


def test_an_image_does_not_reach_a_network_for_sound() -> None:
    backbone = Backbone(name="bc_resnet_1", pretrained=False)
    with pytest.raises(UsageError, match="`bc_resnet_1` is for front: audio, not for front: image"):
        build(backbone, locate(backbone, Path(), ()), 3, "squash")
