"""The export stage: writes the pivot folder that every backend compiles from, proven equal to the torch networks."""

from __future__ import annotations

import hashlib
import json
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
from edgetl.pivot.clean import serialize
from edgetl.pivot.float_logits import kept_logits
from edgetl.pivot.fold import fold
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.half import measure_range, to_float16
from edgetl.pivot.half_range import HalfRange
from edgetl.pivot.parity import compare, infer, open_literal
from edgetl.pivot.pivot import GOLDEN_DIR, Pivot, PivotModel, write_pivot
from edgetl.pivot.preprocess import attach
from edgetl.pivot.reference import float_logits, torch_logits
from edgetl.store.records import ADAPT_RECORD, NETWORK_SPEC, NETWORK_STATE, REFERENCE_LOGITS
from edgetl.types import NetworkSpec, Progress, Sample, Split

PARITY_IMAGES = 64
_BATCH_OF_ALL_VALUES = 2  # every intermediate value is in memory

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class _Made:
    """A model that has been proven: its description and its logits on the golden inputs."""

    model: PivotModel
    golden: Logits


def run(
    split: Split,
    adapted: Path,
    quantized: Mapping[str, Path],
    out: Path,
    progress: Progress,
    *,
    half: bool = False,
    known: Path | None = None,
) -> None:
    """Write the pivot folder of the network in `adapted` into the existing folder `out`.

    quantized  scheme id -> folder of the quantize stage; may be empty
    half       also a float16 model, where the network's values on the shots leave room below float16's largest
    known      folder in which `edgetl.pivot.reference` left the float network's logits on the validation images
    raises     ParityError if an exported model differs from its torch network on real images; BackendError if the
               exporter refuses the network; DataError for unreadable images.
    """
    spec = read_spec(adapted / NETWORK_SPEC)
    p = spec.preprocessing
    network = fold(rebuild(spec, adapted / NETWORK_STATE), p.height, p.width).module
    vectors, pictures = golden.write_images(golden.choose(split.val), p, out / GOLDEN_DIR)
    reference = kept_logits(known) if known else float_logits(network, split.val, spec, progress)
    save_file(
        {"logits": reference, "labels": np.array([sample.label for sample in split.val], np.int64)},
        out / REFERENCE_LOGITS,
    )
    with progress.task("export: prove", 1 + len(quantized)) as advance:
        plain = to_onnx(network, p.height, p.width)
        made = [_export_float(plain, network, reference, split, spec, vectors, out)]
        half_range = _half_range(out / made[0].model.file, split, spec) if half else None
        if half_range is not None and half_range.fits:
            made.append(_export_half(plain, reference, split, spec, vectors, out))
        advance()
        for identity, folder in quantized.items():
            made.append(_export_int8(identity, folder, split, spec, vectors, out))
            advance()
    logits = {Path(item.model.file).stem: item.golden for item in made}
    save_file(logits, out / GOLDEN_DIR / "logits.safetensors")
    source, licence = _provenance(adapted, spec)
    write_pivot(
        out,
        Pivot(
            labels=split.classes,
            preprocessing=p,
            models=tuple(item.model for item in made),
            golden_files=pictures,
            half_range=half_range,
            source=source,
            licence=licence,
            digests={},
        ),
    )


def _export_float(
    plain: onnx.ModelProto,
    network: nn.Module,
    reference: Logits,
    split: Split,
    spec: NetworkSpec,
    vectors: NDArray[np.uint8],
    out: Path,
) -> _Made:
    model = attach(plain, spec.preprocessing, split.classes)
    samples = split.val[:PARITY_IMAGES]
    made = _prove(model, "float32", None, samples, reference[: len(samples)], spec, vectors, out)
    return _Made(made.model, torch_logits(network, vectors, spec))


def _half_range(model: Path, split: Split, spec: NetworkSpec) -> HalfRange:
    shots = split.shots[:PARITY_IMAGES]
    return measure_range(onnx.load_model(model), batches(shots, spec.preprocessing, _BATCH_OF_ALL_VALUES))


def _export_half(
    plain: onnx.ModelProto,
    reference: Logits,
    split: Split,
    spec: NetworkSpec,
    vectors: NDArray[np.uint8],
    out: Path,
) -> _Made:
    """The pixels are normalized in float32, which is exact and costs nothing."""
    model = attach(to_float16(plain), spec.preprocessing, split.classes)
    samples = split.val[:PARITY_IMAGES]
    return _prove(model, "float16", None, samples, reference[: len(samples)], spec, vectors, out)


def _export_int8(
    identity: str, folder: Path, split: Split, spec: NetworkSpec, vectors: NDArray[np.uint8], out: Path
) -> _Made:
    path = folder / "network.onnx"
    model = attach(onnx.load_model(path), spec.preprocessing, split.classes)
    kept = load_file(folder / REFERENCE_LOGITS)
    expected: Logits = kept["logits"]
    samples = split.shots[: len(expected)]
    return _prove(model, "int8", identity, samples, expected, spec, vectors, out, exact=kept["float_logits"])


def _prove(
    model: onnx.ModelProto,
    precision: Literal["int8", "float16", "float32"],
    identity: str | None,
    samples: tuple[Sample, ...],
    expected: Logits,
    spec: NetworkSpec,
    vectors: NDArray[np.uint8],
    out: Path,
    *,
    exact: Logits | None = None,
) -> _Made:
    """Compare with torch, then write; golden logits are onnxruntime's, computed node by node."""
    stem = f"{precision}-{identity}" if identity else precision
    data = serialize(model)
    session = open_literal(data)
    found = infer(session, batches(samples, spec.preprocessing))
    parity = compare(found, expected, precision=precision, where=f"{stem}.onnx", exact=exact)
    path = out / f"{stem}.onnx"
    path.write_bytes(data)
    described = PivotModel(
        file=path.name,
        precision=precision,
        scheme_id=identity,
        sha256=hashlib.sha256(data).hexdigest(),
        parity=parity,
    )
    return _Made(described, infer(session, [vectors]) if len(vectors) else np.zeros((0, expected.shape[1]), np.float32))


def _provenance(adapted: Path, spec: NetworkSpec) -> tuple[str, str]:
    """The source and license of the pretrained weights, as far as the adapt stage recorded them."""
    path = adapted / ADAPT_RECORD
    record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    source = record.get("source") or f"{spec.library} {spec.architecture}"
    return str(source), str(record.get("licence") or "")
