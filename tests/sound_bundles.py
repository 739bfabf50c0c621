"""A bundle for sound, of a network that tells tones apart: what its samples hold at three frequencies decides."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from pydantic import TypeAdapter
from safetensors.numpy import save_file
from sounds import tone, wav

from edgetl.backends.base import load as load_backend
from edgetl.bundle.write import TOLERANCES
from edgetl.files.digest import folder_digests
from edgetl.fronts.audio.resample import FILE_NAME, Ratio, design, resample
from edgetl.fronts.audio.window import centered
from edgetl.recipes.targets import load_target
from edgetl.types import Compiled, Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.int16]

RATE, WINDOW = 16_000, 8000
LABELS = ("low", "middle", "high", "_quiet_")
TONES_HZ = (440.0, 1320.0, 2640.0)
GOLDEN = 3
_KERNEL, _STRIDE = 400, 160
_MEL: dict[str, Any] = {
    "window": 400,
    "hop": 160,
    "dft": 512,
    "bands": 32,
    "low_hz": 60.0,
    "high_hz": 3800.0,
    "triangles": "htk",
    "spectrum": "power",
    "log": "ln",
    "floor": 1e-6,
}


@dataclass(frozen=True)
class SoundBundle:
    """An opened folder, and what Python needs to run its network."""

    folder: Path
    compiled: Compiled
    target: Target
    file_rate_hz: int

    def heard(self, clip: Samples) -> Samples:
        """All samples of a recording at the network's rate."""
        if self.file_rate_hz == RATE:
            return clip
        return resample(clip, Ratio.of(self.file_rate_hz, RATE), design(self.file_rate_hz, RATE))

    def logits(self, windows: Samples) -> NDArray[np.float32]:
        """(N, WINDOW) -> (N, classes), one window at a time, as the device does it."""
        backend = load_backend(self.compiled.backend)
        with backend.open(self.folder, self.compiled, self.target, threads=1) as engine:
            rows = [engine.infer({"audio": window[None]})["logits"] for window in windows]
        return np.concatenate(rows).astype(np.float32)


def network() -> onnx.ModelProto:
    """audio int16 (batch, WINDOW) -> logits (batch, 4): loudness at the three frequencies, against a fixed level."""
    places = np.arange(_KERNEL) / RATE
    turns = [2 * np.pi * hz * places for hz in TONES_HZ]
    kernels = np.array([wave(turn) for turn in turns for wave in (np.cos, np.sin)])[:, None] / _KERNEL / 32768
    weight = np.zeros((6, 4))
    for band in range(3):
        weight[2 * band : 2 * band + 2, band] = 60
    tensors = {
        "axis": np.array([1]),
        "kernels": kernels.astype(np.float32),
        "weight": weight.astype(np.float32),
        "bias": np.array([0, 0, 0, 3], np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["audio"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["floats", "axis"], ["row"]),
        helper.make_node("Conv", ["row", "kernels"], ["waves"], strides=[_STRIDE]),
        helper.make_node("Abs", ["waves"], ["loudness"]),
        helper.make_node("GlobalAveragePool", ["loudness"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "weight", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tones",
        [helper.make_tensor_value_info("audio", TensorProto.INT16, ["batch", WINDOW])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(LABELS)])],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def make_sound_bundle(folder: Path, target_name: str, file_rate_hz: int = RATE) -> SoundBundle:
    """A float32 bundle in the new `folder`, with golden clips."""
    folder.mkdir(parents=True)
    pivot = folder.parent / f"{folder.name}.onnx"
    onnx.save_model(network(), pivot)
    target = load_target(target_name)
    compiled = load_backend(target.backend).compile(pivot, target, "float32", folder)
    pivot.unlink()
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    if file_rate_hz != RATE:
        np.save(folder / FILE_NAME, design(file_rate_hz, RATE), allow_pickle=False)
    bundle = SoundBundle(folder, compiled, target, file_rate_hz)
    _write_golden(bundle)
    _write_manifest(bundle)
    return bundle


def _write_golden(bundle: SoundBundle) -> None:
    golden = bundle.folder / "golden"
    golden.mkdir()
    inputs = []
    for index, hz in enumerate(TONES_HZ):
        clip = tone(hz, 0.3 + 0.2 * index, bundle.file_rate_hz)
        inputs.append(centered(bundle.heard(clip), WINDOW))
        (golden / f"{index}.wav").write_bytes(wav(clip, bundle.file_rate_hz))
        np.save(golden / f"{index}.samples.npy", clip, allow_pickle=False)
        np.save(golden / f"{index}.input.npy", inputs[-1], allow_pickle=False)
    # not by the bundle's own engine: that of another CPU does not run here
    session = onnxruntime.InferenceSession(network().SerializeToString(), providers=["CPUExecutionProvider"])
    logits = np.concatenate([session.run(["logits"], {"audio": window[None]})[0] for window in inputs])
    save_file({"logits": logits, "float_logits": logits}, golden / "logits.safetensors")


def _write_manifest(bundle: SoundBundle) -> None:
    tolerance = TOLERANCES["float32"].model_dump()
    manifest = {
        "schema": 2,
        "name": bundle.folder.name,
        "edgetl_version": "0.1.0",
        "target": TypeAdapter(Target).dump_python(bundle.target, mode="json"),
        "compiled": TypeAdapter(Compiled).dump_python(bundle.compiled, mode="json"),
        "scheme": None,
        "labels": list(LABELS),
        "preprocessing": {
            "rate_hz": RATE,
            "file_rate_hz": bundle.file_rate_hz,
            "samples": WINDOW,
            "mel": _MEL,
        },
        "task": "classification",
        "front": "audio",
        "signature": {
            "inputs": [{"name": "audio", "dtype": "int16", "shape": [None, WINDOW]}],
            "outputs": [{"name": "logits", "dtype": "float32", "shape": [None, len(LABELS)]}],
        },
        "postprocess": None,
        "pivot_sha256": "0" * 64,
        "golden": {"count": GOLDEN, "files": [f"golden/{i}.wav" for i in range(GOLDEN)], "tolerance": tolerance},
        "files": {
            name: {"sha256": digest, "size_bytes": (bundle.folder / name).stat().st_size}
            for name, digest in folder_digests(bundle.folder).items()
        },
    }
    (bundle.folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
