"""The export stage: writes the pivot folder that every backend compiles from, proven equal to the torch networks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import nn

from edgetl.backbones.load import rebuild
from edgetl.backbones.spec import read_spec
from edgetl.data.batches import batches
from edgetl.pivot import golden
from edgetl.pivot.float_logits import stored_logits
from edgetl.pivot.fold import fold
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.half import measure_range, to_float16
from edgetl.pivot.parity import compare, infer, open_literal
from edgetl.pivot.pivot import GOLDEN_DIR, HalfRange, Pivot, PivotModel, write_pivot
from edgetl.pivot.preprocess import attach
from edgetl.pivot.reference import float_logits, torch_logits
from edgetl.pivot.serialize import serialize
from edgetl.recipes.job import wants_float16
from edgetl.recipes.run import Run
from edgetl.store.records import NETWORK_SPEC, NETWORK_STATE, REFERENCE_LOGITS
from edgetl.types import NetworkSpec, Sample, Split

PARITY_IMAGES = 64
_BATCH_OF_ALL_VALUES = 2  # every intermediate value is in memory

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class _Export:
    """What all models of a pivot are proven with. vectors  uint8 (N, H, W, 3), the golden inputs"""

    split: Split
    spec: NetworkSpec
    vectors: NDArray[np.uint8]
    out: Path

    def attach(self, model: onnx.ModelProto) -> onnx.ModelProto:
        return attach(model, self.spec.preprocessing, self.split.classes)


@dataclass(frozen=True)
class _Expected:
    """torch's logits (N, classes) on the samples. exact  of an INT8 network: those of the float network"""

    samples: tuple[Sample, ...]
    logits: Logits
    exact: Logits | None = None


@dataclass(frozen=True)
class _Made:
    """A model that has been proven: its description and its logits on the golden inputs."""

    model: PivotModel
    golden: Logits


def export_pivot(run: Run, adapted: Path, quantized: Mapping[str, Path], out: Path, known: Path | None = None) -> None:
    """Write the pivot folder of the network in `adapted` into the existing folder `out`.

    If a target has float16 builds, it gets a float16 model too, unless the network's values on the shots come too close
    to float16's largest.

    quantized  scheme id -> folder of the quantize stage; may be empty
    known      folder in which `edgetl.pivot.reference` left the float network's logits on the validation images
    raises     ParityError if an exported model differs from its torch network on real images; BackendError if the
               exporter refuses the network; DataError for unreadable images.
    """
    split, progress = run.split, run.progress
    spec = read_spec(adapted / NETWORK_SPEC)
    p = spec.preprocessing
    network = fold(rebuild(spec, adapted / NETWORK_STATE), p.height, p.width).module
    vectors, pictures = golden.write_images(golden.choose(split.val), p, out / GOLDEN_DIR)
    reference = stored_logits(known) if known else float_logits(network, split.val, spec, progress)
    save_file(
        {"logits": reference, "labels": np.array([sample.label for sample in split.val], np.int64)},
        out / REFERENCE_LOGITS,
    )
    export = _Export(split, spec, vectors, out)
    expected = _Expected(split.val[:PARITY_IMAGES], reference[:PARITY_IMAGES])
    with progress.task("export: prove", 1 + len(quantized)) as advance:
        plain = to_onnx(network, p.height, p.width)
        made = [_export_float(export, plain, network, expected)]
        half_range = _half_range(export, made[0].model.file) if wants_float16(run.job) else None
        if half_range is not None and half_range.fits:
            # the pixels are normalized in float32: they are exact there, and it costs nothing
            made.append(_prove(export, export.attach(to_float16(plain)), "float16", expected))
        advance()
        for identity, folder in quantized.items():
            made.append(_export_int8(export, identity, folder))
            advance()
    logits = {Path(item.model.file).stem: item.golden for item in made}
    save_file(logits, out / GOLDEN_DIR / "logits.safetensors")
    write_pivot(
        out,
        Pivot(
            labels=split.classes,
            preprocessing=p,
            models=tuple(item.model for item in made),
            golden_files=pictures,
            half_range=half_range,
            source=spec.source,
            licence=spec.licence,
            digests={},
        ),
    )


def _export_float(export: _Export, plain: onnx.ModelProto, network: nn.Module, expected: _Expected) -> _Made:
    made = _prove(export, export.attach(plain), "float32", expected)
    return _Made(made.model, torch_logits(network, export.vectors, export.spec))


def _half_range(export: _Export, model: str) -> HalfRange:
    shots = export.split.shots[:PARITY_IMAGES]
    images = batches(shots, export.spec.preprocessing, _BATCH_OF_ALL_VALUES)
    return measure_range(onnx.load_model(export.out / model), images)


def _export_int8(export: _Export, identity: str, folder: Path) -> _Made:
    model = export.attach(onnx.load_model(folder / "network.onnx"))
    kept = load_file(folder / REFERENCE_LOGITS)
    samples = export.split.shots[: len(kept["logits"])]
    return _prove(export, model, "int8", _Expected(samples, kept["logits"], kept["float_logits"]), identity)


def _prove(
    export: _Export,
    model: onnx.ModelProto,
    precision: Literal["int8", "float16", "float32"],
    expected: _Expected,
    identity: str | None = None,
) -> _Made:
    """Compare with torch, then write; golden logits are onnxruntime's, computed node by node."""
    stem = f"{precision}-{identity}" if identity else precision
    data = serialize(model)
    session = open_literal(data)
    found = infer(session, batches(expected.samples, export.spec.preprocessing))
    parity = compare(found, expected.logits, precision=precision, where=f"{stem}.onnx", exact=expected.exact)
    (export.out / f"{stem}.onnx").write_bytes(data)
    described = PivotModel(
        file=f"{stem}.onnx",
        precision=precision,
        scheme_id=identity,
        sha256=hashlib.sha256(data).hexdigest(),
        parity=parity,
    )
    if not len(export.vectors):
        return _Made(described, np.zeros((0, expected.logits.shape[1]), np.float32))
    return _Made(described, infer(session, [export.vectors]))
