"""Runs a bundle: classifies images or clips or finds objects in them, replays golden vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgetl.backends.base import load as load_backend
from edgetl.backends.fresh_process import LIMITS, Limits, outputs
from edgetl.bundle.golden import StepCheck, replay
from edgetl.bundle.manifest import Manifest
from edgetl.bundle.read import Bundle, read_bundle
from edgetl.errors import BackendError, BundleError, DataError, UsageError
from edgetl.fronts.batches import load_example, load_framed
from edgetl.fronts.text.read import read_example
from edgetl.fronts.text.shown import is_cut, quote
from edgetl.tasks.detection.detections import BOXES, SCORES, Detections, Postprocess
from edgetl.tasks.detection.postprocess import is_finite, postprocess
from edgetl.types import OUTPUT_NAME, Backend, Engine, Preprocessing, TextPreprocessing, as_image, fed

if TYPE_CHECKING:
    from edgetl.types import Tensors


@dataclass(frozen=True)
class HeadAnswer:
    """The most likely classes of one of several heads, most likely first."""

    head: str
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Prediction:
    """The most likely classes of one file, most likely first; probabilities are softmax of the logits.

    `error` says why there are none: a file of another kind, logits that are not finite. "" on success.

    quote  the beginning of a text;  cut  whether it is longer than what the network reads
    heads  of several; then `labels` and `probabilities` are empty
    """

    path: str
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    error: str = ""
    quote: str = ""
    cut: bool = False
    heads: tuple[HeadAnswer, ...] = ()


@dataclass(frozen=True)
class Finding:
    """The objects found in one image. `error` says why there are none: a file that is not an image. "" on success."""

    path: str
    objects: Detections | None
    error: str = ""


@contextmanager
def open_bundle(bundle: Bundle, *, threads: int) -> Iterator[Engine]:
    """Open a bundle on its runtime and try it on a black image or on silence.

    raises  BackendError if this machine cannot run it, naming what it needs; BundleError if the network's outputs
            are not those of the manifest.
    """
    manifest = bundle.manifest
    backend = _refuse_unrunnable(bundle)
    with backend.open(bundle.folder, manifest.compiled, manifest.target, threads=threads) as engine:
        _check_outputs(bundle, engine.infer(fed(blank(bundle))))
        yield engine


def cannot_run(bundle: Bundle) -> str:
    """Why this machine cannot run the bundle, and what to do; "" if it can. Fast: opens nothing."""
    compiled = bundle.manifest.compiled
    if not compiled.finished:
        return f"not finished; run on the device with the GPU: edgetl compile --finish {bundle.folder}"
    backend = load_backend(compiled.backend)
    obstacle = backend.cannot_run(bundle.manifest.target, compiled.precision)
    return f"cannot run here: {obstacle.reason}; {obstacle.remedy}" if obstacle else ""


def _refuse_unrunnable(bundle: Bundle) -> Backend:
    if obstacle := cannot_run(bundle):
        raise BackendError(f"{bundle.folder}: {obstacle}")
    return load_backend(bundle.manifest.compiled.backend)


def blank(bundle: Bundle) -> NDArray[np.generic]:
    """One input of zeros, a black image or silence, of the shortest length, to try a network on."""
    p = bundle.manifest.preprocessing
    length = p.lengths[0] if isinstance(p, TextPreprocessing) else 1
    return np.zeros((1, *(size or length for size in p.port.shape[1:])), p.port.dtype)


def _check_outputs(bundle: Bundle, outputs: Tensors) -> None:
    for port in bundle.manifest.signature.outputs:
        found = outputs.get(port.name)
        if found is None or found.shape[1:] != port.shape[1:]:
            seen = "nothing" if found is None else f"shape {found.shape}"
            raise BundleError(f"{bundle.folder}: the manifest says {port}, the network gives {seen}: do not use it")


def predict(folder: Path, images: Iterable[Path], *, top: int, threads: int) -> Iterator[Prediction]:
    """Classify files one by one and yield each result at once. A file that cannot be used has an `error`, and the
    others continue. Raises UsageError for a detector, BundleError, BackendError."""
    bundle = read_bundle(folder)
    if bundle.manifest.task != "classification":
        raise UsageError(f"{folder}: expected a classifier; it is made for {bundle.manifest.task}")
    with open_bundle(bundle, threads=threads) as engine:
        for path in images:
            try:
                example = load_example(path, bundle.manifest.preprocessing)
            except DataError as error:
                yield Prediction(str(path), (), (), str(error))
                continue
            logits = engine.infer(fed(example[None]))[OUTPUT_NAME][0].astype(np.float64)
            found = _prediction(str(path), bundle.manifest, logits, top)
            yield _of_text(found, path, bundle.manifest.preprocessing)


def _of_text(found: Prediction, path: Path, p: Preprocessing) -> Prediction:
    """With what people want to see of a text, if it is one."""
    if not isinstance(p, TextPreprocessing):
        return found
    text = read_example(path)
    return replace(found, quote=quote(text), cut=is_cut(text, p))


def _prediction(path: str, manifest: Manifest, logits: NDArray[np.float64], top: int) -> Prediction:
    if not np.isfinite(logits).all():
        return Prediction(path, (), (), _not_finite(path))
    if manifest.heads:
        heads = tuple(
            HeadAnswer(each.name, *_likeliest(each.classes, logits[each.columns], top)) for each in manifest.heads
        )
        return Prediction(path, (), (), heads=heads)
    return Prediction(path, *_likeliest(manifest.labels, logits, top))


def _likeliest(
    labels: Sequence[str], logits: NDArray[np.float64], top: int
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The first labels by their softmax, and that."""
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    order = np.argsort(-shares, kind="stable")[:top]
    return tuple(labels[i] for i in order), tuple(float(shares[i]) for i in order)


def _not_finite(path: str) -> str:
    return f"{path}: the network's outputs have values that are not finite"


def detect(
    folder: Path, images: Iterable[Path], *, threads: int, settings: Postprocess | None = None
) -> Iterator[Finding]:
    """Find the objects in image files one by one, as `predict` does.

    settings  None: the bundle's own
    raises    UsageError for a classifier, BundleError, BackendError.
    """
    bundle = read_bundle(folder)
    chosen = settings or bundle.manifest.postprocess
    if bundle.manifest.postprocess is None or chosen is None:
        raise UsageError(f"{folder}: expected a detector; it is made for {bundle.manifest.task}")
    with open_bundle(bundle, threads=threads) as engine:
        for path in images:
            try:
                pixels, frame = load_framed(path, as_image(bundle.manifest.preprocessing))
            except DataError as error:
                yield Finding(str(path), None, str(error))
                continue
            outputs = engine.infer(fed(pixels[None]))
            boxes, scores = (np.asarray(outputs[name], np.float32) for name in (BOXES, SCORES))
            if not is_finite(boxes, scores, chosen):
                yield Finding(str(path), None, _not_finite(str(path)))
                continue
            yield Finding(str(path), postprocess(boxes, scores, [frame], chosen)[0])


def verify(bundle: Bundle, *, threads: int, limits: Limits = LIMITS) -> tuple[StepCheck, ...]:
    """Replay the golden vectors of a bundle, whose digests were checked on reading, on the bundle's own runtime.

    The network runs in a fresh process within `limits`, because a bundle is not trusted before it is verified.
    raises  BackendError if this machine cannot run it, or it does not end; BundleError if it has no golden vectors, or
            the network's outputs are not those of the manifest.
    """
    _refuse_unrunnable(bundle)
    return replay(
        bundle.folder, bundle.manifest, lambda inputs: try_out(bundle, inputs, threads=threads, limits=limits)
    )


def try_out(bundle: Bundle, inputs: Sequence[NDArray[np.generic]], *, threads: int, limits: Limits) -> Tensors:
    """The outputs (N, ...) for N inputs, (1, ...) each, from a fresh process. Raises BackendError, BundleError."""
    manifest = bundle.manifest
    found = outputs(bundle.folder, manifest.compiled, manifest.target, inputs, threads=threads, limits=limits)
    _check_outputs(bundle, found)
    return found


def open_once(folder: Path, *, limits: Limits = LIMITS, name: str = "") -> None:
    """Read a bundle that was just compiled and run it on a black image or on silence, if this machine can.

    name    of the bundle in errors; by default that of its folder
    raises  EdgetlError, because a bundle that cannot be opened is a failure
    """
    bundle = read_bundle(folder)
    compiled, target = bundle.manifest.compiled, bundle.manifest.target
    backend = load_backend(compiled.backend)
    if not compiled.finished or backend.cannot_run(target, compiled.precision):
        return
    try:
        try_out(bundle, [blank(bundle)], threads=1, limits=limits)
    except (BackendError, BundleError) as error:
        text = str(error).replace(str(folder.resolve()), name or folder.name).replace(str(folder), name or folder.name)
        raise type(error)(f"compiled, but it does not run here: {text}") from error
