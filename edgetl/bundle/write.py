"""Writes a bundle's manifest for the files that are already in its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl import __version__
from edgetl.bundle.manifest import FILE_NAME, FileEntry, Golden, Manifest, Measured, Tolerance, manifest_text
from edgetl.bundle.ports import signature_for
from edgetl.files.digest import folder_digests
from edgetl.files.durable import write_text
from edgetl.tasks.detection.detections import Postprocess
from edgetl.types import (
    PRECISIONS,
    Compiled,
    HeadClasses,
    NumberFormat,
    Precision,
    Preprocessing,
    Signature,
    Target,
    Verdict,
)

# Between CPUs, INT8 results differ by isolated single steps, which spread to a few percent of the logits' range.
# Float results differ by rounding: to 24 bits in float32, 11 in float16, 8 in bfloat16
# (docs/decisions/0004-golden-tolerances.md).
TOLERANCES: dict[NumberFormat, Tolerance] = {
    "int8": Tolerance(max_diff_of_range=0.10, min_cosine=0.99),
    "float16": Tolerance(max_diff_of_range=0.02, min_cosine=0.999),
    "bfloat16": Tolerance(max_diff_of_range=0.05, min_cosine=0.995),
    "float32": Tolerance(max_diff_of_range=0.002, min_cosine=0.9999),
}
_OF_ROUNDING = 5.0
_LOOSEST = Tolerance(max_diff_of_range=0.25, min_cosine=0.9)


def tolerance_for(
    precision: Precision, rounded: NDArray[np.float32] | None, exact: NDArray[np.float32] | None
) -> Tolerance:
    """Allowed distance of a build's logits from the golden ones, at least that of `TOLERANCES`.

    Two machines that break rounding ties differently are two draws of the rounding error. So an 8-bit network may
    differ by five times the effect of rounding on its golden images (they are few, and biases were corrected for them;
    the cosine falls with the square), but never by more than a quarter of the range.

    rounded, exact  golden logits (images, classes) of the INT8 and of the float network; None if there are none
    """
    kind = PRECISIONS[precision]
    least = TOLERANCES[kind.format]
    if not kind.few_bits or rounded is None or exact is None or not len(exact):
        return least
    spread = np.maximum(exact.max(axis=1) - exact.min(axis=1), 1e-9)
    difference = float((np.abs(rounded - exact).max(axis=1) / spread).max())
    norms = np.linalg.norm(rounded, axis=1) * np.linalg.norm(exact, axis=1)
    cosine = float(((rounded * exact).sum(axis=1) / np.maximum(norms, 1e-9)).min())
    return Tolerance(
        max_diff_of_range=_between(least.max_diff_of_range, _OF_ROUNDING * difference, _LOOSEST.max_diff_of_range),
        min_cosine=_between(_LOOSEST.min_cosine, 1 - _OF_ROUNDING**2 * (1 - cosine), least.min_cosine),
    )


def detector_tolerance(precision: Precision, lost: float) -> Tolerance:
    """The same of a detector.

    lost  the effect of rounding on its golden images, `golden_detection.distance` of the INT8 and of the float network
    """
    kind = PRECISIONS[precision]
    least = TOLERANCES[kind.format]
    if not kind.few_bits:
        return least
    allowed = _between(least.max_diff_of_range, _OF_ROUNDING * lost, _LOOSEST.max_diff_of_range)
    return Tolerance(max_diff_of_range=allowed, min_cosine=least.min_cosine)


def _between(low: float, value: float, high: float) -> float:
    return round(min(max(value, low), high), 6)


def write_manifest(
    folder: Path,
    *,
    name: str,
    target: Target,
    compiled: Compiled,
    scheme: str | None,
    labels: tuple[str, ...],
    heads: tuple[HeadClasses, ...] = (),
    preprocessing: Preprocessing,
    pivot_sha256: str,
    golden_files: tuple[str, ...],
    tolerance: Tolerance | None = None,
    signature: Signature | None = None,
    postprocess: Postprocess | None = None,
) -> Manifest:
    """Digest everything in `folder` and write its manifest, not yet measured.

    golden_files  examples in `golden/`
    tolerance     for the golden outputs; None: the smallest of the precision
    signature     of the network; None: that of a classifier of these labels
    postprocess   of a detector; None: the network is a classifier
    """
    allowed = tolerance or TOLERANCES[PRECISIONS[compiled.precision].format]
    files = tuple(f"golden/{file}" for file in golden_files)
    golden = Golden(count=len(files), files=files, tolerance=allowed) if files else None
    manifest = Manifest(
        schema_version=2,
        name=name,
        edgetl_version=__version__,
        target=target,
        compiled=compiled,
        scheme=scheme,
        labels=labels,
        heads=heads,
        preprocessing=preprocessing,
        task="classification" if postprocess is None else "detection",
        front=preprocessing.front,
        signature=signature or signature_for("classification", labels, preprocessing),
        postprocess=postprocess,
        pivot_sha256=pivot_sha256,
        golden=golden,
        files=_entries(folder),
    )
    write_text(folder / FILE_NAME, manifest_text(manifest))
    return manifest


def add_measurement(
    folder: Path, manifest: Manifest, measured: Measured | None, verdict: Verdict, reason: str
) -> Manifest:
    """Write the bench results into the manifest; the other files stay as measured."""
    changed = manifest.model_copy(update={"measured": measured, "verdict": verdict, "reason": reason})
    write_text(folder / FILE_NAME, manifest_text(changed))
    return changed


def replace_compiled(folder: Path, manifest: Manifest, compiled: Compiled) -> Manifest:
    """Describe a bundle again after its last step ran on the device."""
    changed = manifest.model_copy(update={"compiled": compiled, "files": _entries(folder)})
    write_text(folder / FILE_NAME, manifest_text(changed))
    return changed


def _entries(folder: Path) -> dict[str, FileEntry]:
    digests = folder_digests(folder)
    digests.pop(FILE_NAME, None)
    return {
        name: FileEntry(sha256=digest, size_bytes=(folder / name).stat().st_size) for name, digest in digests.items()
    }
