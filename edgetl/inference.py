"""Run a bundle: classify image files, replay its golden vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.backends.base import load as load_backend
from edgetl.bundle.golden import StepCheck, replay
from edgetl.bundle.read import Bundle, read_bundle
from edgetl.data.views import load_image
from edgetl.errors import BackendError, BundleError, DataError
from edgetl.types import INPUT_NAME, OUTPUT_NAME, Engine


@dataclass(frozen=True)
class Prediction:
    """The most likely classes of one image, most likely first; probabilities are softmax of the logits.

    `error` says why there are none: a file that is no picture, logits that are no numbers. "" where all went well.
    """

    path: str
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    error: str = ""


@contextmanager
def open_bundle(bundle: Bundle, *, threads: int) -> Iterator[Engine]:
    """Open a bundle on its runtime and try it on a black image.

    raises  BackendError when this machine cannot run it, naming what it needs; BundleError when its labels do not fit
            the network's logits.
    """
    manifest = bundle.manifest
    backend = load_backend(manifest.compiled.backend)
    if not manifest.compiled.finished:
        raise BackendError(
            f"{bundle.folder}: not finished; run on the device with the GPU: edgetl compile --finish {bundle.folder}"
        )
    obstacle = backend.missing() or backend.cannot_run(manifest.target)
    if obstacle:
        raise BackendError(f"{bundle.folder}: cannot run here: {obstacle.reason}; {obstacle.remedy}")
    with backend.open(bundle.folder, manifest.compiled, manifest.target, threads=threads) as engine:
        _check_width(bundle, engine)
        yield engine


def _check_width(bundle: Bundle, engine: Engine) -> None:
    size = bundle.manifest.preprocessing
    logits = engine.infer({INPUT_NAME: np.zeros((1, size.height, size.width, 3), np.uint8)})[OUTPUT_NAME]
    labels = len(bundle.manifest.labels)
    if logits.shape != (1, labels):
        raise BundleError(
            f"{bundle.folder}: the manifest has {labels} labels, the network gives logits of shape {logits.shape}; "
            "expected one logit per label: do not use it"
        )


def predict(folder: Path, images: Iterable[Path], *, top: int, threads: int) -> Iterator[Prediction]:
    """Classify image files one by one, each as soon as it is done. One that cannot be used has an `error`, and the rest
    goes on. Raises BundleError, BackendError."""
    bundle = read_bundle(folder)
    with open_bundle(bundle, threads=threads) as engine:
        for path in images:
            try:
                pixels = load_image(path, bundle.manifest.preprocessing)
            except DataError as error:
                yield Prediction(str(path), (), (), str(error))
                continue
            logits = engine.infer({INPUT_NAME: pixels[None]})[OUTPUT_NAME][0].astype(np.float64)
            yield _prediction(str(path), bundle.manifest.labels, logits, top)


def _prediction(path: str, labels: Sequence[str], logits: NDArray[np.float64], top: int) -> Prediction:
    if not np.isfinite(logits).all():
        return Prediction(path, (), (), f"{path}: the network's output has values that are no numbers")
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    order = np.argsort(-shares, kind="stable")[:top]
    return Prediction(path, tuple(labels[i] for i in order), tuple(float(shares[i]) for i in order))


def verify(bundle: Bundle, *, threads: int) -> tuple[StepCheck, ...]:
    """Replay the golden vectors of a bundle, whose digests were checked on reading, on the bundle's own runtime."""
    with open_bundle(bundle, threads=threads) as engine:
        return replay(
            bundle.folder,
            bundle.manifest,
            lambda batch: np.asarray(engine.infer({INPUT_NAME: batch})[OUTPUT_NAME], dtype=np.float32),
        )
