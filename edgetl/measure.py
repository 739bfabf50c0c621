"""Measure finished bundles on this machine: latency interleaved, accuracy on a labelled folder. Needs no torch."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl import stats
from edgetl.backends.base import load as load_backend
from edgetl.bench.accuracy import answers, predict_each
from edgetl.bench.isolated import LIMITS, Limits, cold_start
from edgetl.bench.latency import BLOCK, interleaved
from edgetl.bench.machine import clock_mhz, describe, gpu_of, temperature_c
from edgetl.bench.measurement import BeforeAfter, BundleMeasurement, Measurement
from edgetl.bench.result import ColdStart
from edgetl.bundle.manifest import FILE_NAME
from edgetl.bundle.read import Bundle, read_bundle
from edgetl.data.by_label import match_labels
from edgetl.data.scan import scan
from edgetl.data.views import batches, load_image, spread, usable
from edgetl.digest import file_digest
from edgetl.errors import BundleError, DataError
from edgetl.inference import open_bundle
from edgetl.types import Engine, Preprocessing, Progress, Sample

_BATCH = 16


def measure(
    folders: Sequence[Path],
    data: Path | None,
    *,
    runs: int,
    warmup: int,
    threads: int,
    seed: int,
    cold_starts: int,
    progress: Progress,
    limits: Limits = LIMITS,
) -> Measurement:
    """Open every bundle, time them in the same rounds, and count right answers on `data` when it is given.

    data         a folder with one sub-folder per class (or a CSV list); each must be a label of the bundles, not every
                 label needs images. Images that cannot be used are named and left out.
    cold_starts  fresh processes per bundle that open it and infer once; 0 leaves cold start and memory out.
    limits       of each of them; one is started in any case, before the bundle is opened in this process.
    raises       BundleError when bundles do not take the same input; BackendError when one cannot run here; DataError.
    """
    bundles = {str(folder): read_bundle(folder) for folder in folders}
    preprocessing = _common_input(bundles)
    samples = _samples(data, bundles, progress) if data else ()
    images = _timed_images(bundles, samples, preprocessing)
    cold = _cold_starts(bundles, images[0], threads, cold_starts, limits, progress)
    with ExitStack() as stack:
        engines = {name: stack.enter_context(open_bundle(bundle, threads=threads)) for name, bundle in bundles.items()}
        right = _right_answers(engines, samples, preprocessing, progress)
        machine, clock, temperature = describe(), clock_mhz(), temperature_c()
        with progress.task("latency", total=runs) as advance:
            times = interleaved(engines, images, runs=runs, warmup=warmup, seed=seed, advance=advance)
        clock_then, temperature_then = BeforeAfter(clock, clock_mhz()), BeforeAfter(temperature, temperature_c())
        placements = {name: engine.placement() for name, engine in engines.items()}
    gpus = (gpu_of(bundle.manifest.target, placements[name]) for name, bundle in bundles.items())
    first = times[next(iter(bundles))]
    return Measurement(
        harness="edgetl python",
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        machine=replace(machine, gpu=next((gpu for gpu in gpus if gpu), None)),
        clock_mhz=clock_then,
        temperature_c=temperature_then,
        bundles=tuple(
            BundleMeasurement(
                bundle=name,
                bundle_sha256=file_digest(bundle.folder / FILE_NAME),
                target=bundle.manifest.target.name,
                precision=bundle.manifest.compiled.precision,
                backend=bundle.manifest.compiled.backend,
                backend_version=load_backend(bundle.manifest.compiled.backend).version(),
                placement=placements[name].summary(),
                size_bytes=bundle.size_bytes(),
                p50_ms=stats.quantile(times[name] / 1e6, 0.5, block=BLOCK),
                p90_ms=stats.quantile(times[name] / 1e6, 0.9, block=BLOCK),
                p99_ms=stats.p99(times[name] / 1e6, block=BLOCK),
                runs=runs,
                threads=threads,
                images=len(samples),
                top1=stats.wilson(right[name], len(samples)) if samples else None,
                ratio=None if times[name] is first else stats.speedup(first, times[name], block=BLOCK, seed=seed),
                cold_start_ms=cold[name].cold_start_ms if name in cold else None,
                peak_rss_bytes=cold[name].peak_rss_bytes if name in cold else None,
                baseline_rss_bytes=cold[name].baseline_rss_bytes if name in cold else None,
            )
            for name, bundle in bundles.items()
        ),
    )


def _cold_starts(
    bundles: Mapping[str, Bundle],
    image: NDArray[np.uint8],
    threads: int,
    repeats: int,
    limits: Limits,
    progress: Progress,
) -> dict[str, ColdStart]:
    found: dict[str, ColdStart] = {}
    with progress.task("cold start", total=len(bundles)) as advance:
        for name, bundle in bundles.items():
            manifest = bundle.manifest
            found[name] = cold_start(
                bundle.folder,
                manifest.compiled,
                manifest.target,
                image,
                threads=threads,
                repeats=max(1, repeats),
                limits=limits,
            )
            advance()
    return found if repeats else {}


def _common_input(bundles: Mapping[str, Bundle]) -> Preprocessing:
    found = {name: bundle.manifest.preprocessing for name, bundle in bundles.items()}
    name, first = next(iter(found.items()))
    for other, preprocessing in found.items():
        if preprocessing != first:
            raise BundleError(f"{other}: takes another input than {name}; bundles timed together need the same images")
    return first


def _samples(data: Path, bundles: Mapping[str, Bundle], progress: Progress) -> tuple[Sample, ...]:
    name, first = next(iter(bundles.items()))
    for other, bundle in bundles.items():
        if bundle.manifest.labels != first.manifest.labels:
            raise BundleError(f"{other}: has other labels than {name}; measure their accuracy one by one")
    matched = match_labels(scan(data), first.manifest.labels, name)
    for note in matched.notes():
        progress.note(f"{data}: {note}")
    samples = usable(matched.samples, first.manifest.preprocessing, progress)
    if not samples:
        raise DataError(f"{data}: none of {len(matched.samples)} images can be used; replace them")
    return samples


def _right_answers(
    engines: Mapping[str, Engine], samples: Sequence[Sample], preprocessing: Preprocessing, progress: Progress
) -> dict[str, int]:
    if not samples:
        return {}
    labels = np.array([sample.label for sample in samples])
    with progress.task("accuracy", total=len(samples)) as advance:
        logits = predict_each(engines, batches(samples, preprocessing, _BATCH), advance)
    return {name: int((answers(values)[0] == labels).sum()) for name, values in logits.items()}


def _timed_images(
    bundles: Mapping[str, Bundle], samples: Sequence[Sample], preprocessing: Preprocessing
) -> NDArray[np.uint8]:
    if samples:
        paths = [Path(sample.path) for sample in spread(samples)]
    else:
        bundle = next(iter(bundles.values()))
        files = bundle.manifest.golden.files if bundle.manifest.golden else ()
        paths = [bundle.folder / file for file in files]
    if not paths:
        raise BundleError(f"{next(iter(bundles))}: carries no golden images to time on; name a folder with --data")
    return np.stack([load_image(path, preprocessing) for path in paths])
