"""Pivot folder + target -> bundle folder: compile with the target's backend, add labels, golden vectors, manifest."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgetl.backends.base import load as load_backend
from edgetl.bundle.golden_results import GoldenLogits, GoldenObjects, GoldenResults
from edgetl.bundle.manifest import LABELS_NAME, Manifest, arrays_of, labels_text
from edgetl.bundle.read import read_bundle
from edgetl.bundle.write import replace_compiled, write_manifest
from edgetl.errors import BackendError, UsageError
from edgetl.files.durable import put
from edgetl.files.temporary import temporary_folder
from edgetl.fronts.audio.resample import FILE_NAME as RESAMPLER
from edgetl.fronts.audio.resample import design
from edgetl.fronts.base import load_front
from edgetl.fronts.text.load import carry
from edgetl.pivot.pivot import Pivot, PivotModel, available, left_out, model_for, read_pivot
from edgetl.recipes.targets import load_target, scheme_id
from edgetl.store.results import disk_errors
from edgetl.tasks.detection.detections import Postprocess
from edgetl.types import (
    AudioPreprocessing,
    Compiled,
    FinishingBackend,
    Precision,
    Preprocessing,
    Signature,
    Target,
)


def compile_pivot(pivot_folder: Path, target: Target, precision: Precision, name: str, out: Path) -> Manifest:
    """Write the bundle of one build into the existing empty folder `out`.

    raises  UsageError if the pivot has no model for this scheme and precision; BackendError from the toolchain.
    """
    pivot = read_pivot(pivot_folder)
    model = model_for(pivot, target, precision)
    compiled = _compile(pivot_folder / model.file, target, precision, out)
    _add_texts(out, pivot, compiled)
    _add_resampler(out, pivot.preprocessing)
    carry(pivot.preprocessing, out)
    settings = model.postprocess or pivot.postprocess
    golden = _golden_of(pivot_folder, pivot, model, scheme_id(target.scheme), settings)
    _add_golden(pivot_folder, golden, pivot.golden_files, out)
    return write_manifest(
        out,
        name=name,
        target=target,
        compiled=compiled,
        scheme=model.scheme_id,
        labels=pivot.labels,
        heads=pivot.heads,
        preprocessing=pivot.preprocessing,
        pivot_sha256=model.sha256,
        golden_files=pivot.golden_files,
        tolerance=golden.tolerance(precision) if golden else None,
        signature=_signature(pivot_folder / model.file, pivot),
        postprocess=settings,
    )


def compile_targets(
    pivot_folder: Path,
    names: Sequence[str],
    out: Path,
    targets_dirs: Sequence[Path] = (),
    check: Callable[[Path], None] | None = None,
) -> list[Path]:
    """Every build of every named target as `<out>/<target>-<precision>`; each appears completely or not at all.

    check   called with every bundle before it appears; its errors end the work
    raises  UsageError for unknown targets or existing folders; StoreError, BackendError.
    """
    pivot = read_pivot(pivot_folder)
    targets = [load_target(name, targets_dirs, pivot.preprocessing.front) for name in names]
    jobs = [(target, precision) for target in targets for precision in available(pivot, target)]
    places = {out / f"{target.name}-{precision}": (target, precision) for target, precision in jobs}
    for place in places:
        if place.exists():
            raise UsageError(f"{place}: already exists; remove it, or choose another folder with --out")
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        for place, (target, precision) in places.items():
            with temporary_folder(out) as scratch:
                folder = scratch / place.name
                folder.mkdir()
                compile_pivot(pivot_folder, target, precision, place.name, folder)
                if check is not None:
                    check(folder)
                put(folder, place)
    return list(places)


def builds_left_out(
    pivot_folder: Path, names: Sequence[str], targets_dirs: Sequence[Path] = ()
) -> list[dict[str, str]]:
    """Builds of the targets for which the pivot has no model: target, precision and reason."""
    pivot = read_pivot(pivot_folder)
    return [
        {"target": name, "precision": precision, "reason": reason}
        for name in names
        for precision, reason in left_out(pivot, load_target(name, targets_dirs, pivot.preprocessing.front))
    ]


def finish_bundle(folder: Path, check: Callable[[Path], None] = lambda _: None) -> Manifest:
    """Run the step that needs the device (a TensorRT engine); also after the device or its software changed.

    Works on a copy and swaps it in, so that a failure or an interrupt leaves the bundle unchanged.
    check   examines the finished copy; its errors also leave the bundle unchanged
    raises  BackendError if there is no such step, or the device cannot do it.
    """
    bundle = read_bundle(folder)
    place = folder.resolve()  # `.` has no name, and a link must stay a link
    compiled, target = bundle.manifest.compiled, bundle.manifest.target
    backend = load_backend(compiled.backend)
    if not isinstance(backend, FinishingBackend):
        raise BackendError(f"{folder}: nothing to finish: {compiled.backend} bundles are already complete")
    with temporary_folder(place.parent) as scratch:
        copy = scratch / place.name
        shutil.copytree(place, copy)
        manifest = replace_compiled(copy, bundle.manifest, backend.finish(copy, compiled, target))
        check(copy)
        put(copy, place)
    return manifest


def _compile(model: Path, target: Target, precision: Precision, out: Path) -> Compiled:
    backend = load_backend(target.backend)
    missing = backend.missing()
    if missing:
        raise BackendError(
            f"target {target.name}: {backend.name} cannot compile here: {missing.reason}; {missing.remedy}"
        )
    return backend.compile(model, target, precision, out)


def _add_texts(out: Path, pivot: Pivot, compiled: Compiled) -> None:
    (out / LABELS_NAME).write_text(labels_text(pivot.labels), encoding="utf-8")
    noun = load_front(pivot.preprocessing.front).noun
    (out / "LICENSES.txt").write_text(
        f"The network is derived from {pivot.source}\n"
        f"(license as stated there: {pivot.licence or 'none stated'}), adapted to the user's own {noun}s.\n"
        f"It runs on {compiled.backend} {compiled.backend_version}, which has its own license.\n",
        encoding="utf-8",
    )


def _add_resampler(out: Path, p: Preprocessing) -> None:
    """The integers by which the device converts clips to the network's rate."""
    if isinstance(p, AudioPreprocessing) and p.file_rate_hz != p.rate_hz:
        np.save(out / RESAMPLER, design(p.file_rate_hz, p.rate_hz), allow_pickle=False)


def _signature(model: Path, pivot: Pivot) -> Signature | None:
    """None for a classifier, whose labels say it."""
    if pivot.task == "classification":
        return None
    from edgetl.backends.onnx_rules import load_pivot

    return load_pivot(model)[1].signature


def _golden_of(
    folder: Path, pivot: Pivot, model: PivotModel, scheme: str, settings: Postprocess | None
) -> GoldenResults | None:
    if not pivot.golden_files:
        return None
    stem = Path(model.file).stem
    rounded = next((Path(each.file).stem for each in pivot.models if each.scheme_id == scheme), None)
    if settings is None:
        return GoldenLogits(folder, pivot, stem, rounded)
    return GoldenObjects(folder, pivot, stem, rounded, settings)


def _add_golden(pivot_folder: Path, results: GoldenResults | None, files: Sequence[str], out: Path) -> None:
    if results is None:
        return
    golden = out / "golden"
    golden.mkdir()
    for file in files:
        for name in (file, *arrays_of(file)):
            shutil.copyfile(pivot_folder / "golden" / name, golden / name)
    results.write(golden)
