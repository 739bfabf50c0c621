"""Proves the models of a pivot equal to the networks they were made from, and writes them. Torch-free."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from safetensors.numpy import load_file

from edgetl.fronts.batches import batches, frames_of
from edgetl.pivot.attach import attach
from edgetl.pivot.float_answers import REFERENCE_LOGITS
from edgetl.pivot.half import measure_range
from edgetl.pivot.literal import infer, open_literal
from edgetl.pivot.pivot import HalfRange, Parity, PivotModel
from edgetl.pivot.serialize import serialize
from edgetl.tasks.base import Answers, Outputs, Task
from edgetl.tasks.detection.detections import Postprocess
from edgetl.types import Preprocessing, Sample, Split

PARITY_IMAGES = 64
_BATCH_OF_ALL_VALUES = 2  # every intermediate value is in memory


@dataclass(frozen=True)
class Proof:
    """What all models of a pivot are proven with.

    vectors   the golden inputs, in batches
    settings, answers  of a detector: how the float network reports objects, and its answers on the first shots
    """

    task: Task
    split: Split
    preprocessing: Preprocessing
    vectors: tuple[NDArray[np.generic], ...]
    out: Path
    settings: Postprocess | None
    answers: Answers | None

    def attach(self, model: onnx.ModelProto) -> onnx.ModelProto:
        return attach(model, self.preprocessing, self.split.classes)


@dataclass(frozen=True)
class Expected:
    """Outputs of what the model was made from, on the samples. exact  of an INT8 network: those of the float one"""

    samples: tuple[Sample, ...]
    outputs: Outputs
    exact: Outputs | None = None


@dataclass(frozen=True)
class Made:
    """A model that has been proven: its description and its outputs on the golden inputs."""

    model: PivotModel
    golden: Outputs


def true_labels(split: Split) -> dict[str, NDArray[np.int64]]:
    labels = [sample.truth for sample in split.val if isinstance(sample.truth, int)]
    return {"labels": np.array(labels, np.int64)} if labels else {}


def range_on_shots(export: Proof, model: str) -> HalfRange:
    shots = export.split.shots[:PARITY_IMAGES]
    images = batches(shots, export.preprocessing, _BATCH_OF_ALL_VALUES)
    return measure_range(onnx.load_model(export.out / model), images)


def prove_int8(export: Proof, identity: str, folder: Path) -> Made:
    model = export.attach(onnx.load_model(folder / "network.onnx"))
    kept, names = load_file(folder / REFERENCE_LOGITS), export.task.outputs
    quantized, exact = {name: kept[name] for name in names}, {name: kept[f"float_{name}"] for name in names}
    samples = export.split.shots[: len(kept[names[0]])]
    return prove(export, model, "int8", Expected(samples, quantized, exact), identity)


def prove(
    export: Proof,
    model: onnx.ModelProto,
    precision: Literal["int8", "float16", "float32"],
    expected: Expected,
    identity: str | None = None,
) -> Made:
    """Compare with torch, then write; golden outputs are onnxruntime's, computed node by node."""
    stem = f"{precision}-{identity}" if identity else precision
    data = serialize(model)
    session = open_literal(data)
    found = infer(session, batches(expected.samples, export.preprocessing))
    close = export.task.closeness(found, expected.outputs, precision, f"{stem}.onnx", expected.exact)
    (export.out / f"{stem}.onnx").write_bytes(data)
    described = PivotModel(
        file=f"{stem}.onnx",
        precision=precision,
        scheme_id=identity,
        sha256=hashlib.sha256(data).hexdigest(),
        parity=Parity(
            images=len(expected.samples),
            max_abs_diff=close.difference,
            top1_agreement=close.agreement,
            tolerance=close.tolerance,
        ),
        postprocess=_settings(export, session),
    )
    if not export.vectors:
        return Made(described, {name: values[:0] for name, values in expected.outputs.items()})
    return Made(described, infer(session, export.vectors))


def _settings(export: Proof, session: onnxruntime.InferenceSession) -> Postprocess | None:
    """How this model reports objects: on the first shots as many as the float network."""
    if export.settings is None or export.answers is None:
        return None
    shots, p = export.split.shots[:PARITY_IMAGES], export.preprocessing
    answers = export.task.answer(infer(session, batches(shots, p)), frames_of(shots, p))
    return export.task.settings(answers, export.answers, export.settings)
