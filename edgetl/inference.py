"""Run a bundle: classify image files, replay its golden vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgetl.backends.base import load as load_backend
from edgetl.bundle.golden import StepCheck, replay
from edgetl.bundle.read import Bundle, read_bundle
from edgetl.data.images import decode
from edgetl.data.resize import resize
from edgetl.errors import BackendError, BundleError
from edgetl.types import INPUT_NAME, OUTPUT_NAME, Engine


@dataclass(frozen=True)
class Prediction:
    """The most likely classes of one image, most likely first; probabilities are softmax of the logits."""

    path: str
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]


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


def predict(folder: Path, images: Sequence[Path], *, top: int, threads: int) -> Iterator[Prediction]:
    """Classify image files one by one. Raises BundleError, BackendError, DataError."""
    bundle = read_bundle(folder)
    labels = bundle.manifest.labels
    with open_bundle(bundle, threads=threads) as engine:
        for path in images:
            pixels = resize(decode(path), bundle.manifest.preprocessing)
            logits = engine.infer({INPUT_NAME: pixels[None]})[OUTPUT_NAME][0].astype(np.float64)
            shares = np.exp(logits - logits.max())
            shares /= shares.sum()
            order = np.argsort(-shares, kind="stable")[:top]
            yield Prediction(str(path), tuple(labels[i] for i in order), tuple(float(shares[i]) for i in order))


def verify(bundle: Bundle, *, threads: int) -> tuple[StepCheck, ...]:
    """Replay the golden vectors of a bundle, whose digests were checked on reading, on the bundle's own runtime."""
    with open_bundle(bundle, threads=threads) as engine:
        return replay(
            bundle.folder,
            bundle.manifest,
            lambda batch: np.asarray(engine.infer({INPUT_NAME: batch})[OUTPUT_NAME], dtype=np.float32),
        )
