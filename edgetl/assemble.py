"""Pivot folder + target -> bundle folder: compile with the target's backend, add labels, golden vectors, manifest."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from edgetl.backends.base import load as load_backend
from edgetl.bundle.manifest import Manifest
from edgetl.bundle.read import read_bundle
from edgetl.bundle.write import replace_compiled, write_manifest
from edgetl.catalog import scheme_id
from edgetl.errors import BackendError, UsageError
from edgetl.graph.pivot import Pivot, PivotModel, read_pivot
from edgetl.types import Compiled, Precision, Target


def compile_pivot(pivot_folder: Path, target: Target, precision: Precision, name: str, out: Path) -> Manifest:
    """Write the bundle of one build into the existing empty folder `out`.

    raises  UsageError when the pivot has no model for this scheme and precision; BackendError from the toolchain.
    """
    pivot = read_pivot(pivot_folder)
    model = model_for(pivot, target, precision)
    compiled = _compile(pivot_folder / model.file, target, precision, out)
    _add_texts(out, pivot, compiled)
    _add_golden(pivot_folder, model, pivot.golden_count, out)
    return write_manifest(
        out,
        name=name,
        target=target,
        compiled=compiled,
        scheme=model.scheme_id,
        labels=pivot.labels,
        preprocessing=pivot.preprocessing,
        pivot_sha256=model.sha256,
        golden_count=pivot.golden_count,
    )


def finish_bundle(folder: Path) -> Manifest:
    """Run the step that needs the device (a TensorRT engine) and describe the bundle again.

    raises  BackendError when the bundle is finished already, or the device cannot finish it.
    """
    bundle = read_bundle(folder)
    compiled, target = bundle.manifest.compiled, bundle.manifest.target
    backend = load_backend(compiled.backend)
    finish = getattr(backend, "finish", None)
    if compiled.finished or finish is None:
        raise BackendError(f"{folder}: nothing to finish: {compiled.backend} bundles are complete as they are")
    return replace_compiled(folder, bundle.manifest, finish(folder, compiled, target))


def model_for(pivot: Pivot, target: Target, precision: Precision) -> PivotModel:
    """The pivot's model that `precision` on `target` is compiled from; bfloat16 is made from float32."""
    wanted = scheme_id(target.scheme) if precision == "int8" else None
    for model in pivot.models:
        if model.scheme_id == wanted:
            return model
    have = ", ".join(model.scheme_id or "float32" for model in pivot.models)
    raise UsageError(f"target {target.name}: {precision} needs the scheme {wanted or 'float32'}; the pivot has {have}")


def _compile(model: Path, target: Target, precision: Precision, out: Path) -> Compiled:
    backend = load_backend(target.backend)
    missing = backend.missing()
    if missing:
        raise BackendError(
            f"target {target.name}: {backend.name} cannot compile here: {missing.reason}; {missing.remedy}"
        )
    return backend.compile(model, target, precision, out)


def _add_texts(out: Path, pivot: Pivot, compiled: Compiled) -> None:
    (out / "labels.txt").write_text("\n".join(pivot.labels) + "\n", encoding="utf-8")
    (out / "LICENSES.txt").write_text(
        f"The network is derived from {pivot.source}\n"
        f"(licence as stated there: {pivot.licence or 'none stated'}), adapted to the user's own images.\n"
        f"It runs on {compiled.backend} {compiled.backend_version}, which has its own licence.\n",
        encoding="utf-8",
    )


def _add_golden(pivot_folder: Path, model: PivotModel, count: int, out: Path) -> None:
    if not count:
        return
    golden = out / "golden"
    golden.mkdir()
    for index in range(count):
        for name in (f"{index}.png", f"{index}.input.npy"):
            shutil.copyfile(pivot_folder / "golden" / name, golden / name)
    logits = load_file(pivot_folder / "golden" / "logits.safetensors")[Path(model.file).stem]
    save_file({"logits": np.ascontiguousarray(logits)}, golden / "logits.safetensors")
