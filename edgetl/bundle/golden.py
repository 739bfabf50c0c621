"""Golden vectors: images, network inputs and logits that a bundle must reproduce, step by step.

The most common deployment bug is a correct network after a wrong decode or resize; replaying the steps one by one
names the first that differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgetl.bundle.manifest import Manifest, Tolerance
from edgetl.errors import BundleError
from edgetl.files.arrays import UnreadableArray, read_array, read_tensors
from edgetl.fronts.image.decode import decode
from edgetl.fronts.image.resize import resize

Step = Literal["decode", "resize", "network"]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class StepCheck:
    """One step replayed on one golden image. `difference` is in pixel steps (0..255) or as a fraction of the range."""

    image: int
    step: Step
    passed: bool
    difference: float
    allowed: float
    detail: str


def replay(
    folder: Path, manifest: Manifest, infer: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
) -> tuple[StepCheck, ...]:
    """Decode, resize and infer every golden image; each step starts from the golden result of the one before.

    infer   uint8 (N, H, W, 3) -> float32 (N, classes); called once, with the golden inputs of all images
    raises  BundleError if the bundle has no golden vectors or they do not fit its shapes.
    """
    golden = manifest.golden
    if golden is None:
        raise BundleError(f"{folder}: this bundle has no golden vectors to replay")
    expected = _golden_logits(folder, manifest)
    pixels = [_pixel_checks(folder, manifest, index, picture) for index, picture in enumerate(golden.files)]
    logits = infer(np.stack([network_input for _, network_input in pixels]))
    checks: list[StepCheck] = []
    for index, (of_pixels, _) in enumerate(pixels):
        checks += [*of_pixels, _network_check(index, logits[index], expected[index], golden.tolerance)]
    return tuple(checks)


def _pixel_checks(folder: Path, manifest: Manifest, index: int, picture: str) -> tuple[list[StepCheck], Pixels]:
    """The first two steps of one image, and the network input that they should give."""
    assert manifest.golden is not None
    rgb = _pixels(folder / "golden" / f"{index}.rgb.npy", None)
    size = (manifest.preprocessing.height, manifest.preprocessing.width, 3)
    network_input = _pixels(folder / "golden" / f"{index}.input.npy", size)
    allowed = manifest.golden.tolerance.max_decode_step if picture.endswith(".jpg") else 0
    decoded = _pixel_check(index, "decode", decode(folder / picture), rgb, allowed)
    return [
        decoded,
        _pixel_check(index, "resize", resize(rgb, manifest.preprocessing), network_input, 0),
    ], network_input


def _pixel_check(index: int, step: Step, made: Pixels, golden: Pixels, allowed: int) -> StepCheck:
    if made.shape != golden.shape:
        detail = f"{made.shape[1]}x{made.shape[0]} pixels, expected {golden.shape[1]}x{golden.shape[0]}"
        return StepCheck(index, step, False, 255, allowed, detail)
    difference = int(np.abs(made.astype(np.int16) - golden.astype(np.int16)).max())
    detail = f"largest pixel difference {difference} of 255 (limit {allowed})"
    return StepCheck(index, step, difference <= allowed, difference, allowed, detail)


def _network_check(
    index: int, logits: NDArray[np.float32], golden: NDArray[np.float32], tolerance: Tolerance
) -> StepCheck:
    if logits.shape != golden.shape or not np.isfinite(logits).all():
        return StepCheck(
            index, "network", False, float("inf"), tolerance.max_diff_of_range, "not finite or of another shape"
        )
    found, expected = logits.astype(np.float64), golden.astype(np.float64)  # squares of large floats would overflow
    spread = float(expected.max() - expected.min()) or 1.0
    difference = float(np.abs(found - expected).max()) / spread
    cosine = _cosine(found, expected)
    # another class passes only if one of the two predictions is close to a tie
    close = min(_lead(golden), _lead(logits)) <= tolerance.max_diff_of_range / 2 * spread
    answer, wanted = int(logits.argmax()), int(golden.argmax())
    same = answer == wanted
    passed = (same or close) and difference <= tolerance.max_diff_of_range and cosine >= tolerance.min_cosine
    detail = (
        f"logits differ by {100 * difference:.2f} % of their range (limit {100 * tolerance.max_diff_of_range:g} %), "
        f"cosine {cosine:.5f} (at least {tolerance.min_cosine:g}), class {answer}"
    )
    detail += "" if same else f" instead of {wanted}"
    return StepCheck(index, "network", passed, difference, tolerance.max_diff_of_range, detail)


def _lead(logits: NDArray[np.float32]) -> float:
    """Lead of the best class over the next."""
    ordered = np.sort(logits)
    return float(ordered[-1]) - float(ordered[-2])


def _cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm else float(np.array_equal(a, b))  # two zero vectors are equal


def _golden_logits(folder: Path, manifest: Manifest) -> NDArray[np.float32]:
    path = folder / "golden" / "logits.safetensors"
    try:
        tensors = read_tensors(path)
    except UnreadableArray as error:
        raise BundleError(f"{path}: {error}; expected the tensor `logits`") from error
    logits = tensors.get("logits")
    if logits is None:
        raise BundleError(f"{path}: expected a safetensors file with the tensor `logits`; it has no such tensor")
    assert manifest.golden is not None
    if logits.shape != (manifest.golden.count, len(manifest.labels)) or logits.dtype != np.float32:
        raise BundleError(
            f"{path}: expected float32 ({manifest.golden.count}, {len(manifest.labels)}), "
            f"found {logits.dtype} {logits.shape}"
        )
    if not np.isfinite(logits).all():
        raise BundleError(f"{path}: `logits` has values that are not finite; build the bundle again")
    return np.asarray(logits, dtype=np.float32)


def _pixels(path: Path, shape: tuple[int, int, int] | None) -> Pixels:
    """A golden array, uint8 (h, w, 3), of `shape` if one is given."""
    try:
        array = read_array(path)
    except UnreadableArray as error:
        raise BundleError(f"{path}: {error}") from error
    fits = array.shape == shape if shape else array.ndim == 3 and array.shape[2] == 3 and array.size > 0
    if not fits or array.dtype != np.uint8:
        raise BundleError(f"{path}: expected uint8 {shape or '(h, w, 3)'}, found {array.dtype} {array.shape}")
    return np.asarray(array, dtype=np.uint8)
