"""The export stage: writes the pivot folder that every backend compiles from, proven equal to the torch networks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import nn

from edgetl.data.batches import batches, frames_of
from edgetl.fronts.text.load import carry
from edgetl.pivot import golden
from edgetl.pivot.adapted import open_adapted
from edgetl.pivot.attach import attach
from edgetl.pivot.float_answers import stored_answers
from edgetl.pivot.fold import fold_parts
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.golden import add_outputs
from edgetl.pivot.half import measure_range, to_float16
from edgetl.pivot.literal import infer, open_literal
from edgetl.pivot.pivot import GOLDEN_DIR, HalfRange, Parity, Pivot, PivotModel, write_pivot
from edgetl.pivot.reference import float_answers, outputs_in_batches
from edgetl.pivot.serialize import serialize
from edgetl.recipes.job import wants_float16
from edgetl.recipes.run import Run
from edgetl.store.records import REFERENCE_LOGITS
from edgetl.tasks.base import Answers, Outputs, Task, load_task
from edgetl.tasks.detection.detections import Postprocess
from edgetl.types import Preprocessing, Sample, Split

PARITY_IMAGES = 64
_BATCH_OF_ALL_VALUES = 2  # every intermediate value is in memory


@dataclass(frozen=True)
class _Export:
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
class _Expected:
    """torch's outputs on the samples. exact  of an INT8 network: those of the float network"""

    samples: tuple[Sample, ...]
    outputs: Outputs
    exact: Outputs | None = None


@dataclass(frozen=True)
class _Made:
    """A model that has been proven: its description and its outputs on the golden inputs."""

    model: PivotModel
    golden: Outputs


def export_pivot(run: Run, adapted: Path, quantized: Mapping[str, Path], out: Path, known: Path | None = None) -> None:
    """Write the pivot folder of the network in `adapted` into the existing folder `out`.

    If a target has float16 builds, it gets a float16 model too, unless the network's values on the shots come too close
    to float16's largest.

    quantized  scheme id -> folder of the quantize stage; may be empty
    known      folder in which `edgetl.pivot.reference` left the float network's answers on the validation images
    raises     ParityError if an exported model differs from its torch network on real images; BackendError if the
               exporter refuses the network; DataError for unreadable images.
    """
    split, progress, task = run.split, run.progress, load_task(run.job.recipe.task)
    opened = open_adapted(task, adapted)
    p = opened.preprocessing
    network = fold_parts(opened.module, opened.parts, p.network_shape).module
    carry(p, out)
    vectors, pictures = golden.write_examples(golden.choose(split.val), p, out / GOLDEN_DIR)
    reference = stored_answers(known, task.kept) if known else float_answers(task, network, split.val, p, progress)
    save_file({task.kept: reference, **_labels(split)}, out / REFERENCE_LOGITS)
    shots = split.shots[:PARITY_IMAGES]
    answers = float_answers(task, network, shots, p, progress) if opened.settings else None
    export = _Export(task, split, p, vectors, out, opened.settings, answers)
    few = split.val[:PARITY_IMAGES]
    # answers of a classifier are its outputs
    outputs = (
        outputs_in_batches(task, network, batches(few, p), p) if task.in_image else {task.kept: reference[: len(few)]}
    )
    expected = _Expected(few, outputs)
    with progress.task("export: prove", 1 + len(quantized)) as advance:
        plain = to_onnx(network, p.network_shape, task.outputs)
        made = [_export_float(export, plain, network, expected)]
        half_range = _half_range(export, made[0].model.file) if wants_float16(run.job) else None
        if half_range is not None and half_range.fits:
            # the pixels are normalized in float32: they are exact there, and it costs nothing
            made.append(_prove(export, export.attach(to_float16(plain)), "float16", expected))
        advance()
        for identity, folder in quantized.items():
            made.append(_export_int8(export, identity, folder))
            advance()
    add_outputs(out / GOLDEN_DIR, {Path(item.model.file).stem: item.golden for item in made})
    write_pivot(
        out,
        Pivot(
            labels=split.classes,
            preprocessing=p,
            models=tuple(item.model for item in made),
            golden_files=pictures,
            half_range=half_range,
            source=opened.source,
            licence=opened.licence,
            task=task.name,
            postprocess=opened.settings,
            digests={},
        ),
    )


def _labels(split: Split) -> dict[str, NDArray[np.int64]]:
    labels = [sample.truth for sample in split.val if isinstance(sample.truth, int)]
    return {"labels": np.array(labels, np.int64)} if labels else {}


def _export_float(export: _Export, plain: onnx.ModelProto, network: nn.Module, expected: _Expected) -> _Made:
    made = _prove(export, export.attach(plain), "float32", expected)
    return _Made(made.model, outputs_in_batches(export.task, network, export.vectors, export.preprocessing))


def _half_range(export: _Export, model: str) -> HalfRange:
    shots = export.split.shots[:PARITY_IMAGES]
    images = batches(shots, export.preprocessing, _BATCH_OF_ALL_VALUES)
    return measure_range(onnx.load_model(export.out / model), images)


def _export_int8(export: _Export, identity: str, folder: Path) -> _Made:
    model = export.attach(onnx.load_model(folder / "network.onnx"))
    kept, names = load_file(folder / REFERENCE_LOGITS), export.task.outputs
    quantized, exact = {name: kept[name] for name in names}, {name: kept[f"float_{name}"] for name in names}
    samples = export.split.shots[: len(kept[names[0]])]
    return _prove(export, model, "int8", _Expected(samples, quantized, exact), identity)


def _prove(
    export: _Export,
    model: onnx.ModelProto,
    precision: Literal["int8", "float16", "float32"],
    expected: _Expected,
    identity: str | None = None,
) -> _Made:
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
        return _Made(described, {name: values[:0] for name, values in expected.outputs.items()})
    return _Made(described, infer(session, export.vectors))


def _settings(export: _Export, session: onnxruntime.InferenceSession) -> Postprocess | None:
    """How this model reports objects: on the first shots as many as the float network."""
    if export.settings is None or export.answers is None:
        return None
    shots, p = export.split.shots[:PARITY_IMAGES], export.preprocessing
    answers = export.task.answer(infer(session, batches(shots, p)), frames_of(shots, p))
    return export.task.settings(answers, export.answers, export.settings)
