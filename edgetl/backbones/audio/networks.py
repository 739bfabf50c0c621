"""edgetl's own networks for sound, by name; what each native under a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from torch import nn

from edgetl.backbones.audio import bc_resnet, ds_cnn, kws_lstm, speech_embedding
from edgetl.backbones.audio.native import ClipSource, NativeAudio
from edgetl.backbones.plan import Plan
from edgetl.backbones.weights import config_of
from edgetl.errors import UsageError, WeightsError
from edgetl.files.text import nearest
from edgetl.fronts.audio.mel import front_end
from edgetl.recipes.recipe import Backbone
from edgetl.types import AudioPreprocessing, Mel, WeightSource

_CARD = "card.json"

NETWORKS: Mapping[str, ModuleType] = {
    name: module for module in (speech_embedding, ds_cnn, kws_lstm, bc_resnet) for name in module.NAMES
}


def plan_by_name(backbone: Backbone, source: WeightSource, clips: ClipSource) -> Plan:
    """The network that `backbone` names, its input, and the licence in the card beside its weights.

    Raises UsageError for a name that is not for sound, and for settings that the network cannot take.
    """
    name = backbone.name
    if name not in NETWORKS:
        raise UsageError(f"backbone.name: no network for sound is called `{name}`; {nearest(name, NETWORKS)}")
    module = NETWORKS[name]
    native = _preprocessing(backbone, module.NATIVE, clips)
    _, frames, bands = native.network_shape
    arguments = {"frames": frames, "bands": bands}
    return Plan("edgetl", name, native, arguments, module.UNUSED, licence=_licence(source))


def construct(architecture: str, model_args: Mapping[str, object], num_classes: int) -> nn.Module:
    """The network with random weights and a head of `num_classes`."""
    network: nn.Module = NETWORKS[architecture].construct(architecture, num_classes, **model_args)
    return network


def no_hub(name: str, held: str) -> WeightsError:
    """The error for weights that no folder has."""
    found = f" {held}." if held else ""
    return WeightsError(
        f"backbone.name: no weights of `{name}`: expected them as `{name}/model.safetensors` in a folder of weights "
        f"(--weights-dir or backbone.weights_dir).{found} No hub has them"
    )


def _preprocessing(backbone: Backbone, native: NativeAudio, clips: ClipSource) -> AudioPreprocessing:
    audio, name = clips.audio, backbone.name
    rate = audio.rate_hz or native.rate_hz
    if backbone.pretrained and rate != native.rate_hz:
        raise UsageError(f"audio.rate_hz: `{name}` was trained at {native.rate_hz} Hz; leave it out")
    mel = native.mel if backbone.pretrained else _own_mel(native.mel, clips, rate)
    seconds = native.samples / native.rate_hz if audio.window_s is None else audio.window_s
    preprocessing = AudioPreprocessing(rate, clips.file_rate_hz, round(seconds * rate), mel)
    _, frames, bands = preprocessing.network_shape
    if frames < native.least_frames:
        least = (mel.window + (native.least_frames - 1) * mel.hop) / rate
        raise UsageError(f"audio.window_s: `{name}` needs at least {least:.3f} s; found {seconds:g}")
    if bands not in native.bands:
        key = "coefficients" if mel.coefficients else "bands"
        raise UsageError(
            f"audio.{key}: `{name}` takes {native.bands[0]} to {native.bands[-1]} values a frame; found {bands}"
        )
    front_end(mel, rate)  # raises UsageError for settings that contradict each other
    return preprocessing


def _own_mel(mel: Mel, clips: ClipSource, rate_hz: int) -> Mel:
    """The network's kind of spectrum in the recipe's numbers, for random weights."""
    audio = clips.audio
    window = round(audio.frame_ms * rate_hz / 1000)
    return replace(
        mel,
        window=window,
        hop=round(audio.hop_ms * rate_hz / 1000),
        dft=1 << (window - 1).bit_length(),
        bands=audio.bands,
        low_hz=audio.low_hz,
        high_hz=0.475 * rate_hz if audio.high_hz is None else audio.high_hz,
        coefficients=audio.coefficients,
    )


def _licence(source: WeightSource) -> str:
    stated = config_of(Path(source.path).parent / _CARD).get("licence") if source.kind == "file" else None
    return stated if isinstance(stated, str) else ""
