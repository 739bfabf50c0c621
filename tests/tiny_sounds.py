"""A network that really hears: which of three bands of pitch a tone lies in, as a pivot folder. Needs no torch.

int16 (N, 4000) `audio` at 8 kHz -> mel frames -> mean over time -> linear -> `logits` of low, middle and high.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from sounds import tone, write_wav

from edgetl.files.digest import file_digest
from edgetl.pivot.attach_audio import attach_audio
from edgetl.pivot.golden import write_examples
from edgetl.pivot.pivot import Parity, Pivot, PivotModel, write_pivot
from edgetl.types import AudioPreprocessing, Mel, Sample

LABELS = ("low", "middle", "high")
HZ = (250, 900, 2500)
RATE = 8000
MEL = Mel(200, 80, 256, 24, 60.0, 3800.0, "htk", "power", "ln", 1e-6)
PREPROCESSING = AudioPreprocessing(RATE, RATE, RATE // 2, MEL)


def write_tones(folder: Path, count: int = 2, rate: int = RATE) -> Path:
    """`folder`/LABEL/0.wav, ...: tones of 0.6 s, each a little higher than the one before."""
    for label, hz in zip(LABELS, HZ, strict=True):
        for index in range(count):
            write_wav(folder / label / f"{index}.wav", tone(hz * (1 + 0.05 * index), 0.6, rate), rate)
    return folder


def network(p: AudioPreprocessing = PREPROCESSING) -> onnx.ModelProto:
    """The float model with the front end inside."""
    _, frames, bands = p.network_shape
    weights = np.repeat(np.eye(3, dtype=np.float32), bands // 3, axis=0) * (3 / bands)
    constants = {"axes": np.array([1, 2], np.int64), "weights": weights, "bias": np.zeros(3, np.float32)}
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["features", "axes"], ["mean"], "mean", keepdims=0),
            helper.make_node("Gemm", ["mean", "weights", "bias"], ["logits"], "head"),
        ],
        "tones",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 1, frames, bands])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return attach_audio(model, p, LABELS)


def run(model: onnx.ModelProto, samples: NDArray[np.int16]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["logits"], {"audio": samples})[0], np.float32)


def make_sound_pivot(folder: Path, p: AudioPreprocessing = PREPROCESSING) -> Path:
    """A pivot with the float model and one golden clip for each class, in the new `folder`."""
    folder.mkdir(parents=True)
    tones = write_tones(folder.parent / f"{folder.name}-tones", 1, p.file_rate_hz)
    samples = [Sample(str(tones / label / "0.wav"), index, "0" * 64) for index, label in enumerate(LABELS)]
    (inputs,), names = write_examples(samples, p, folder / "golden")
    model = network(p)
    onnx.save_model(model, folder / "float32.onnx")
    save_file({"float32": run(model, inputs)}, folder / "golden" / "logits.safetensors")
    made = PivotModel(
        file="float32.onnx",
        precision="float32",
        scheme_id=None,
        sha256=file_digest(folder / "float32.onnx"),
        parity=Parity(images=3, max_abs_diff=0, top1_agreement=1, tolerance=1),
    )
    write_pivot(
        folder,
        Pivot(
            labels=LABELS,
            preprocessing=p,
            models=(made,),
            golden_files=names,
            source="a test",
            licence="CC0",
            digests={},
        ),
    )
    return folder
