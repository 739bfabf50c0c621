"""The steps that every task replays: a file becomes pixels, samples, time steps or tokens: the network's
input."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgetl.bundle.manifest import Manifest
from edgetl.errors import BundleError, DataError
from edgetl.files.arrays import UnreadableArray, read_array, read_tensors
from edgetl.fronts.audio.decode import decode as decode_sound
from edgetl.fronts.audio.load import windowed
from edgetl.fronts.audio.resample import FILE_NAME as RESAMPLER
from edgetl.fronts.audio.resample import Ratio, design, resample
from edgetl.fronts.image.decode import decode
from edgetl.fronts.image.resize import resize
from edgetl.fronts.series.load import read_window
from edgetl.fronts.series.window import fitted
from edgetl.fronts.text.load import load_text
from edgetl.types import AudioPreprocessing, ImagePreprocessing, SeriesPreprocessing, TextPreprocessing, as_image

Step = Literal["decode", "resize", "window", "tokenize", "network", "cache", "text", "postprocess"]
Pixels = NDArray[np.uint8]
Tokens = NDArray[np.int32]
Number = TypeVar("Number", np.float32, np.int64)


@dataclass(frozen=True)
class StepCheck:
    """One step replayed on one golden example. `difference` is in steps of a pixel or a sample, in tokens or
    values, or as a fraction of the range."""

    image: int
    step: Step
    passed: bool
    difference: float
    allowed: float
    detail: str


@dataclass(frozen=True)
class GoldenExample:
    """What the steps before the network should give, and what they gave here: `checks`.

    decoded  pixels, samples, time steps or tokens
    """

    decoded: NDArray[Any]
    network_input: NDArray[Any]
    checks: tuple[StepCheck, ...]


def replay_input(folder: Path, manifest: Manifest, index: int, file: str) -> GoldenExample:
    """The steps of one golden example before the network; each starts from the golden result of the one before. Raises
    BundleError."""
    p = manifest.preprocessing
    if isinstance(p, AudioPreprocessing):
        return _replay_clip(folder, p, index, file)
    if isinstance(p, TextPreprocessing):
        return _replay_text(folder, p, index, file)
    if isinstance(p, SeriesPreprocessing):
        return _replay_window(folder, p, index, file)
    return _replay_image(folder, manifest, as_image(p), index, file)


def _replay_clip(folder: Path, p: AudioPreprocessing, index: int, file: str) -> GoldenExample:
    samples = _samples(folder / "golden" / f"{index}.samples.npy", None)
    network_input = _samples(folder / "golden" / f"{index}.input.npy", p.samples)
    sound = decode_sound(folder / file)
    if sound.rate_hz != p.file_rate_hz:
        raise BundleError(f"{folder / file}: expected {p.file_rate_hz} Hz, found {sound.rate_hz} Hz; build it again")
    decoded = _sample_check(index, "decode", sound.samples, samples)
    heard = samples
    if p.file_rate_hz != p.rate_hz:
        heard = resample(samples, Ratio.of(p.file_rate_hz, p.rate_hz), _resampler(folder / RESAMPLER, p))
    window = _sample_check(index, "window", windowed(heard, p), network_input)
    return GoldenExample(samples, network_input, (decoded, window))


def _resampler(path: Path, p: AudioPreprocessing) -> NDArray[np.int16]:
    """The integers that the device uses, which must be those that Python designs: predictions use the latter."""
    try:
        table = read_array(path)
    except UnreadableArray as error:
        raise BundleError(f"{path}: {error}") from error
    expected = design(p.file_rate_hz, p.rate_hz)
    if table.dtype != np.int16 or not np.array_equal(table, expected):
        raise BundleError(
            f"{path}: expected the filter from {p.file_rate_hz} to {p.rate_hz} Hz, int16 {expected.shape}; found other "
            f"values, {table.dtype} {table.shape}; build the bundle again"
        )
    return expected


def _sample_check(index: int, step: Step, made: NDArray[np.int16], golden: NDArray[np.int16]) -> StepCheck:
    if made.shape != golden.shape:
        return StepCheck(index, step, False, 65535, 0, f"{made.size} samples, expected {golden.size}")
    difference = int(np.abs(made.astype(np.int32) - golden.astype(np.int32)).max(initial=0))
    return StepCheck(index, step, difference == 0, difference, 0, f"largest difference {difference} of 65535 (limit 0)")


def _samples(path: Path, count: int | None) -> NDArray[np.int16]:
    """A golden array, int16 (n,), of `count` samples if that is given."""
    try:
        array = read_array(path)
    except UnreadableArray as error:
        raise BundleError(f"{path}: {error}") from error
    if array.dtype != np.int16 or array.ndim != 1 or array.size != (count or array.size) or not array.size:
        raise BundleError(f"{path}: expected int16 ({count or 'n'},), found {array.dtype} {array.shape}")
    return np.asarray(array, dtype=np.int16)


def _replay_window(folder: Path, p: SeriesPreprocessing, index: int, file: str) -> GoldenExample:
    stored = _time_steps(folder / "golden" / f"{index}.window.npy", None, len(p.mean))
    network_input = _time_steps(folder / "golden" / f"{index}.input.npy", p.steps, len(p.mean))
    try:
        found = read_window(folder / file)
    except DataError as error:
        raise BundleError(f"{error}; build the bundle again") from error
    decoded = _time_step_check(index, "decode", found, stored)
    return GoldenExample(
        stored, network_input, (decoded, _time_step_check(index, "window", fitted(stored, p.steps), network_input))
    )


def _time_step_check(index: int, step: Step, made: NDArray[np.float32], golden: NDArray[np.float32]) -> StepCheck:
    if made.shape != golden.shape:
        detail = f"{made.shape[0]} steps of {made.shape[1]} channels, expected {golden.shape[0]} of {golden.shape[1]}"
        return StepCheck(index, step, False, max(made.size, golden.size), 0, detail)
    others = int(np.count_nonzero(made != golden))
    return StepCheck(index, step, not others, others, 0, f"{others} of {golden.size} values differ (limit 0)")


def _time_steps(path: Path, steps: int | None, channels: int) -> NDArray[np.float32]:
    """A golden array, float32 (n, channels), of `steps` time steps if that is given."""
    try:
        array = read_array(path)
    except UnreadableArray as error:
        raise BundleError(f"{path}: {error}") from error
    fits = array.ndim == 2 and array.size and array.shape == (steps or array.shape[0], channels)
    if array.dtype != np.float32 or not fits:
        raise BundleError(f"{path}: expected float32 ({steps or 'n'}, {channels}), found {array.dtype} {array.shape}")
    return np.asarray(array, dtype=np.float32)


def _replay_text(folder: Path, p: TextPreprocessing, index: int, file: str) -> GoldenExample:
    tokens = _tokens(folder / "golden" / f"{index}.input.npy", p)
    found = load_text(folder / file, p)
    return GoldenExample(tokens, tokens, (_token_check(index, found, tokens),))


def _token_check(index: int, found: Tokens, golden: Tokens) -> StepCheck:
    if found.shape != golden.shape:
        detail = f"{found.size} tokens, expected {golden.size}"
        return StepCheck(index, "tokenize", False, max(found.size, golden.size), 0, detail)
    others = np.flatnonzero(found != golden)
    detail = f"{others.size} of {golden.size} tokens differ (limit 0)"
    if others.size:
        first = int(others[0])
        detail += f"; the first at {first}: {found[first]}, expected {golden[first]}"
    return StepCheck(index, "tokenize", not others.size, others.size, 0, detail)


def _tokens(path: Path, p: TextPreprocessing) -> Tokens:
    """A golden array, int32 (L,), where L is a bucket."""
    try:
        array = read_array(path)
    except UnreadableArray as error:
        raise BundleError(f"{path}: {error}") from error
    if array.dtype != np.int32 or array.ndim != 1 or array.size not in p.lengths:
        buckets = ", ".join(map(str, p.lengths))
        raise BundleError(f"{path}: expected int32 of one of the lengths {buckets}; found {array.dtype} {array.shape}")
    return np.asarray(array, np.int32)


def _replay_image(folder: Path, manifest: Manifest, p: ImagePreprocessing, index: int, file: str) -> GoldenExample:
    assert manifest.golden is not None
    rgb = _pixels(folder / "golden" / f"{index}.rgb.npy", None)
    network_input = _pixels(folder / "golden" / f"{index}.input.npy", (p.height, p.width, 3))
    allowed = manifest.golden.tolerance.max_decode_step if file.endswith(".jpg") else 0
    decoded = _pixel_check(index, "decode", decode(folder / file), rgb, allowed)
    resized = _pixel_check(index, "resize", resize(rgb, p), network_input, 0)
    return GoldenExample(rgb, network_input, (decoded, resized))


def _pixel_check(index: int, step: Step, made: Pixels, golden: Pixels, allowed: int) -> StepCheck:
    if made.shape != golden.shape:
        detail = f"{made.shape[1]}x{made.shape[0]} pixels, expected {golden.shape[1]}x{golden.shape[0]}"
        return StepCheck(index, step, False, 255, allowed, detail)
    difference = int(np.abs(made.astype(np.int16) - golden.astype(np.int16)).max())
    detail = f"largest pixel difference {difference} of 255 (limit {allowed})"
    return StepCheck(index, step, difference <= allowed, difference, allowed, detail)


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


def read_golden(path: Path, name: str, dtype: type[Number], shape: tuple[int, ...] | None) -> NDArray[Number]:
    """The tensor `name` of a safetensors file, finite and of this type and shape. Raises BundleError."""
    try:
        tensors = read_tensors(path)
    except UnreadableArray as error:
        raise BundleError(f"{path}: {error}; expected the tensor `{name}`") from error
    found = tensors.get(name)
    if found is None:
        raise BundleError(f"{path}: expected a safetensors file with the tensor `{name}`; it has no such tensor")
    if found.dtype != dtype or (shape is not None and found.shape != shape):
        raise BundleError(
            f"{path}: `{name}`: expected {np.dtype(dtype).name} {shape}, found {found.dtype} {found.shape}"
        )
    if not np.isfinite(found).all():
        raise BundleError(f"{path}: `{name}` has values that are not finite; build the bundle again")
    return np.asarray(found, dtype)
