"""The front end in the graph, in torch and in numpy is one function, on every runtime."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgetl.backbones.audio.front_end import MelFrontEnd
from edgetl.fronts.audio.mel import compute, front_end
from edgetl.pivot.attach_audio import attach_audio
from edgetl.types import AudioPreprocessing, Mel

CEPSTRUM = Mel(
    640, 320, 1024, 40, 20.0, 4000.0, triangles="htk", spectrum="amplitude", log="ln", floor=1e-12, coefficients=10
)
BANDS = Mel(
    400, 160, 512, 32, 60.0, 3800.0, triangles="htk", spectrum="amplitude", log="ln", floor=0.001, floored="add"
)
DECIBELS = Mel(
    400, 160, 512, 32, 60.0, 3800.0, triangles="slaney", spectrum="power", log="dB", floor=1e-10, below_loudest=80.0,
    scale=0.1, offset=2.0,
)  # fmt: skip
EVERY = [
    pytest.param(CEPSTRUM, id="cepstrum"), pytest.param(BANDS, id="bands"), pytest.param(DECIBELS, id="decibels")
]  # fmt: skip
SAMPLES = 4000
TOLERANCE = 5e-5  # of values up to 200: float32 sums of hundreds of products


def hears(mel: Mel) -> AudioPreprocessing:
    return AudioPreprocessing(16000, 16000, SAMPLES, mel)


def sounds() -> NDArray[np.int16]:
    """(4, SAMPLES): silence, the faintest noise, loud noise, and a tone in noise after silence."""
    generator = np.random.default_rng(0)
    faint, loud = generator.integers(-1, 2, SAMPLES), generator.integers(-32768, 32768, SAMPLES)
    tone = np.rint(30000 * np.sin(np.arange(SAMPLES) * 0.3) + loud / 20) * (np.arange(SAMPLES) > 2000)
    return np.stack([np.zeros(SAMPLES), faint, loud, tone]).astype(np.int16)


def network(mel: Mel) -> onnx.ModelProto:
    """A "network" that hands its input on, to look at it."""
    shape: list[str | int | None] = ["batch", 1, mel.frames(SAMPLES), mel.coefficients or mel.bands]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("input", "logits")]
    graph = helper.make_graph([helper.make_node("Identity", ["input"], ["logits"])], "g", ports[:1], ports[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def on_onnxruntime(model: onnx.ModelProto, samples: NDArray[np.int16], _: Path) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found: NDArray[np.float32] = session.run(None, {"audio": samples})[0]
    return found


def on_openvino(model: onnx.ModelProto, samples: NDArray[np.int16], folder: Path) -> NDArray[np.float32]:
    openvino = pytest.importorskip("openvino")
    onnx.save(model, folder / "model.onnx")
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(folder / "model.onnx"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found: NDArray[np.float32] = next(iter(compiled(samples).values()))
    return found


def in_torch(mel: Mel) -> NDArray[np.float32]:
    found: NDArray[np.float32] = MelFrontEnd(hears(mel))(torch.from_numpy(sounds())).numpy()
    return found


def expected(mel: Mel) -> NDArray[np.float32]:
    return compute(sounds(), front_end(mel, 16000))[:, None]


@pytest.mark.parametrize("mel", EVERY)
@pytest.mark.parametrize("run", [on_onnxruntime, on_openvino])
def test_the_graph_computes_what_the_definition_says(
    run: Callable[[onnx.ModelProto, NDArray[np.int16], Path], NDArray[np.float32]], mel: Mel, tmp_path: Path
) -> None:
    found = run(attach_audio(network(mel), hears(mel), ["a"]), sounds(), tmp_path)
    assert found.shape == expected(mel).shape
    np.testing.assert_allclose(found, expected(mel), atol=TOLERANCE)


@pytest.mark.parametrize("mel", EVERY)
def test_training_hears_what_the_device_hears(mel: Mel) -> None:
    np.testing.assert_allclose(in_torch(mel), expected(mel), atol=TOLERANCE)


def test_the_front_end_brings_no_weights_of_its_own() -> None:
    front = MelFrontEnd(hears(CEPSTRUM))
    assert not front.state_dict()
    assert not list(front.parameters())


def test_views_that_are_no_whole_numbers_are_heard_as_they_are() -> None:
    samples = torch.from_numpy(sounds()).float()
    half = MelFrontEnd(hears(DECIBELS))(samples / 2)[2] - MelFrontEnd(hears(DECIBELS))(samples)[2]
    np.testing.assert_allclose(half, 2 * np.log10(0.5), atol=1e-4)


def test_labels_and_preprocessing_travel_in_the_model() -> None:
    model = attach_audio(network(BANDS), hears(BANDS), ["Ja", "größer"])
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["edgetl.labels"]) == ["Ja", "größer"]
    assert json.loads(metadata["edgetl.preprocessing"]) == asdict(hears(BANDS))
    port = model.graph.input[0]
    assert (port.name, port.type.tensor_type.elem_type) == ("audio", TensorProto.INT16)
    assert port.type.tensor_type.shape.dim[1].dim_value == SAMPLES


def test_steps_that_change_nothing_are_not_in_the_graph() -> None:
    operators = [node.op_type for node in attach_audio(network(BANDS), hears(BANDS), ["a"]).graph.node]
    assert operators == [
        "Cast", "Unsqueeze", "Conv", "Mul", "Split", "Add", "Sqrt", "Transpose", "MatMul", "Add", "Log", "Unsqueeze",
        "Identity",
    ]  # fmt: skip


def test_most_of_what_the_file_grows_by_are_the_kernels() -> None:
    model = network(BANDS)
    grown = attach_audio(model, hears(BANDS), ["a"]).ByteSize() - model.ByteSize()
    assert 0 < grown - 4 * 2 * 120 * 400 < 20_000
