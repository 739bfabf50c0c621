"""Measure finished bundles on this machine: latency interleaved, accuracy on a labelled folder. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.bench import stats
from edgetl.bench.accuracy import predict_each
from edgetl.bench.latency import interleaved
from edgetl.bench.machine import Machine, describe
from edgetl.bundle.read import Bundle, read_bundle
from edgetl.data.scan import Listing, scan
from edgetl.data.views import batches, load_image
from edgetl.errors import BundleError, DataError
from edgetl.inference import open_bundle
from edgetl.types import Engine, Interval, Preprocessing, Progress, Sample

_BATCH = 16
_TIMED_IMAGES = 16


@dataclass(frozen=True)
class BundleMeasurement:
    """One bundle on this machine. `top1` is None without labelled images; `ratio` compares with the first bundle.

    ratio  median time of the first bundle over this one's, timed in the same rounds
    """

    bundle: str
    target: str
    backend: str
    backend_version: str
    placement: str
    size_bytes: int
    p50_ms: Interval | None
    p90_ms: Interval | None
    p99_ms: Interval | None
    runs: int
    threads: int
    images: int
    top1: Interval | None
    ratio: Interval | None


@dataclass(frozen=True)
class Measurement:
    machine: Machine
    bundles: tuple[BundleMeasurement, ...]


def measure(
    folders: Sequence[Path], data: Path | None, *, runs: int, warmup: int, threads: int, seed: int, progress: Progress
) -> Measurement:
    """Open every bundle, time them in the same rounds, and count right answers on `data` when it is given.

    data    a folder with one sub-folder per class (or a CSV list); its classes must be the bundles' labels.
    raises  BundleError when bundles do not take the same input; BackendError when one cannot run here; DataError.
    """
    bundles = {str(folder): read_bundle(folder) for folder in folders}
    preprocessing = _common_input(bundles)
    samples = _samples(scan(data), bundles) if data else ()
    with ExitStack() as stack:
        engines = {name: stack.enter_context(open_bundle(bundle, threads=threads)) for name, bundle in bundles.items()}
        right = _right_answers(engines, samples, preprocessing, progress)
        images = _timed_images(bundles, samples, preprocessing)
        with progress.task("latency", total=runs) as advance:
            times = interleaved(engines, images, runs=runs, warmup=warmup, seed=seed, advance=advance)
        placements = {name: engine.placement().summary() for name, engine in engines.items()}
    first = times[next(iter(bundles))]
    return Measurement(
        machine=describe(),
        bundles=tuple(
            BundleMeasurement(
                bundle=name,
                target=bundle.manifest.target.name,
                backend=bundle.manifest.compiled.backend,
                backend_version=bundle.manifest.compiled.backend_version,
                placement=placements[name],
                size_bytes=bundle.size_bytes(),
                p50_ms=stats.quantile(times[name] / 1e6, 0.5),
                p90_ms=stats.quantile(times[name] / 1e6, 0.9),
                p99_ms=stats.quantile(times[name] / 1e6, 0.99),
                runs=runs,
                threads=threads,
                images=len(samples),
                top1=stats.wilson(right[name], len(samples)) if samples else None,
                ratio=stats.speedup(first, times[name], seed) if times[name] is not first else None,
            )
            for name, bundle in bundles.items()
        ),
    )


def _common_input(bundles: Mapping[str, Bundle]) -> Preprocessing:
    found = {name: bundle.manifest.preprocessing for name, bundle in bundles.items()}
    name, first = next(iter(found.items()))
    for other, preprocessing in found.items():
        if preprocessing != first:
            raise BundleError(f"{other}: takes another input than {name}; bundles timed together need the same images")
    return first


def _samples(listing: Listing, bundles: Mapping[str, Bundle]) -> tuple[Sample, ...]:
    for name, bundle in bundles.items():
        if tuple(listing.classes) != bundle.manifest.labels:
            raise DataError(
                f"{listing.where}: its classes ({', '.join(listing.classes[:5])}, ...) are not the labels of {name} "
                f"({', '.join(bundle.manifest.labels[:5])}, ...)"
            )
    return tuple(Sample(path, label, "") for path, label in listing.files)


def _right_answers(
    engines: Mapping[str, Engine], samples: Sequence[Sample], preprocessing: Preprocessing, progress: Progress
) -> dict[str, int]:
    if not samples:
        return {}
    labels = np.array([sample.label for sample in samples])
    with progress.task("accuracy", total=len(samples)) as advance:
        logits = predict_each(engines, batches(samples, preprocessing, _BATCH), advance)
    return {name: int((answer.argmax(axis=1) == labels).sum()) for name, answer in logits.items()}


def _timed_images(
    bundles: Mapping[str, Bundle], samples: Sequence[Sample], preprocessing: Preprocessing
) -> NDArray[np.uint8]:
    if samples:
        spread = np.unique(np.linspace(0, len(samples) - 1, _TIMED_IMAGES).round().astype(int))
        paths = [Path(samples[index].path) for index in spread]
    else:
        bundle = next(iter(bundles.values()))
        count = bundle.manifest.golden.count if bundle.manifest.golden else 0
        paths = [bundle.folder / "golden" / f"{index}.png" for index in range(count)]
    if not paths:
        raise BundleError(f"{next(iter(bundles))}: carries no golden images to time on; name a folder with --data")
    return np.stack([load_image(path, preprocessing) for path in paths])
