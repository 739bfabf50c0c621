"""Measure finished bundles on this machine: interleaved latency, accuracy on a labeled folder. Needs no torch."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.backends.base import load as load_backend
from edgetl.backends.fresh_process import LIMITS, Limits, cold_start
from edgetl.bench import time_stats
from edgetl.bench.bundle_accuracy import figures_of, judge, labeled
from edgetl.bench.hardware import between, counters, doubts
from edgetl.bench.latency import BLOCK
from edgetl.bench.machine import Machine, clock_mhz, describe, gpu_of, temperature_c
from edgetl.bench.measurement import BeforeAfter, BundleMeasurement, LeftOut, Measurement
from edgetl.bench.paced import Paced, overload
from edgetl.bench.quiet import Conditions, busy, too_many_threads
from edgetl.bench.steady import WarmUp
from edgetl.bench.timed import Timed, Timing, detect_p50_ms, latency, paced_runs, timed, typical
from edgetl.bundle.inference import cannot_run, open_bundle
from edgetl.bundle.manifest import FILE_NAME
from edgetl.bundle.read import Bundle, bundle_folders, is_folder_of_bundles, read_bundle
from edgetl.errors import BackendError, BundleError
from edgetl.files.digest import file_digest
from edgetl.fronts.batches import load_example, spread
from edgetl.tasks.quality import QualityRecord
from edgetl.types import ColdStart, Interval, Placement, Preprocessing, Progress, Sample

FEWEST_RUNS = 300
"""With fewer runs a measurement gives only a rough idea."""
_FEWEST_INDEPENDENT = 10  # rounds: with fewer, 88 to 93 of 100 intervals held (docs/decisions/0037-laboratory.md)
_Times = NDArray[np.int64]
_TAILS = {"runs_for_p99": 0.99, "runs_for_p999": 0.999}


@dataclass(frozen=True)
class Measured:
    """A measurement with the time of every run.

    times  per bundle, in the order of `measurement.bundles`, and per repeat: (runs,) int64 nanoseconds in order
    """

    measurement: Measurement
    times: tuple[tuple[_Times, ...], ...]


@dataclass(frozen=True)
class _Found:
    """Results of all bundles, by key; `repeats` one for each time they were opened, `whole` of detectors alone."""

    qualities: Mapping[str, QualityRecord]
    cold: Mapping[str, ColdStart]
    placements: Mapping[str, Placement]
    whole: Mapping[str, Interval | None]
    repeats: tuple[Timed, ...]
    paced: Mapping[str, Paced]

    def warm_up(self, key: str) -> WarmUp | None:
        """The longest one of all repeats; one that never became steady, if there is one."""
        found = [repeat.warm[key] for repeat in self.repeats if key in repeat.warm]
        return max(found, key=lambda warm: (warm.steady_from is None, warm.runs), default=None)

    def times(self, key: str) -> _Times:
        return np.concatenate([repeat.times[key] for repeat in self.repeats])


def measure_bundles(
    folders: Sequence[Path],
    data: Path | None,
    timing: Timing,
    progress: Progress,
    *,
    cold_starts: int = 0,
    repeats: int = 1,
    limits: Limits = LIMITS,
) -> Measured:
    """Open every bundle, time them in the same rounds, and measure their accuracy on `data` if it is given.

    folders      bundles, or folders of bundles; in a folder, bundles that are damaged or cannot run here are skipped
                 with the reason. A bundle that is named twice is measured twice.
    data         a folder with one sub-folder per class (or a CSV list), or annotated objects for detectors; each class
                 must be a label of the bundles, but not every label needs images. Images that cannot be used are named
                 and skipped.
    cold_starts  fresh processes per bundle that open it and infer once; 0 omits cold start and memory.
    limits       of each process; one is always started, before the bundle is opened in this process.
    repeats      how often all bundles are opened and timed
    raises       BundleError if bundles do not take the same input; BackendError if one cannot run here; DataError.
    """
    bundles, left_out = _read_all(folders)
    preprocessing = _common_input(bundles)
    samples = labeled(data, bundles, progress) if data else ()
    paths = _timed_paths(bundles, samples)
    images = typical([load_example(path, preprocessing) for path in paths])
    cold = _cold_starts(bundles, images[0], timing.threads, cold_starts, limits, progress)
    machine, clock, temperature = describe(), clock_mhz(), temperature_c()
    qualities: Mapping[str, QualityRecord] = {}
    placements: dict[str, Placement] = {}
    whole: Mapping[str, Interval | None] = {}
    repeated: list[Timed] = []
    paced: Mapping[str, Paced] = {}
    before = counters()
    for repeat in range(repeats):
        with ExitStack() as stack:
            engines = {
                key: stack.enter_context(open_bundle(each, threads=timing.threads)) for key, each in bundles.items()
            }
            if repeat == 0:
                qualities = judge(engines, bundles, samples, preprocessing, progress)
                placements = {key: engine.placement() for key, engine in engines.items()}
                machine, clock, temperature = describe(), clock_mhz(), temperature_c()
                before = counters()
            name = "latency" if repeats == 1 else f"latency, {repeat + 1} of {repeats}"
            with progress.task(name, total=None if timing.duration_s else timing.most_runs) as advance:
                repeated.append(timed(engines, images, replace(timing, seed=timing.seed + repeat), advance))
            if repeat == 0:
                whole = detect_p50_ms(engines, bundles, paths, timing)
                with progress.task("paced arrivals", total=None):
                    paced = paced_runs(engines, images, timing)
    hardware, clock_after, heat_after = between(before, counters()), clock_mhz(), temperature_c()
    found = _Found(qualities, cold, placements, whole, tuple(repeated), paced)
    gpus = (gpu_of(bundle.manifest.target, placements[key]) for key, bundle in bundles.items())
    rows = _rows(bundles, samples, found, timing)
    met = _worst(repeated)
    measurement = Measurement(
        harness="edgetl python",
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        machine=replace(machine, gpu=next((gpu for gpu in gpus if gpu), None)),
        clock_mhz=BeforeAfter(clock, clock_after),
        temperature_c=BeforeAfter(temperature, heat_after),
        bundles=rows,
        conditions=met,
        hardware=hardware,
        warnings=(
            *_warnings(machine, met, rows, timing.threads),
            *drift(found.times(key) for key in bundles),
            *doubts(machine, (clock, clock_after), heat_after, hardware),
        ),
        left_out=left_out,
    )
    return Measured(measurement, tuple(tuple(repeat.times[key] for repeat in repeated) for key in bundles))


def _read_all(paths: Sequence[Path]) -> tuple[dict[str, Bundle], tuple[LeftOut, ...]]:
    """Bundles by a unique key, because one may be named twice."""
    bundles: dict[str, Bundle] = {}
    left_out: list[LeftOut] = []
    for path in paths:
        for folder in bundle_folders(path):
            try:
                bundle = read_bundle(folder)
                reason = cannot_run(bundle) if is_folder_of_bundles(path) else ""
            except BundleError as error:
                if not is_folder_of_bundles(path):
                    raise
                left_out.append(LeftOut(str(folder), str(error), damaged=True))
                continue
            if reason:
                left_out.append(LeftOut(str(folder), reason, damaged=False))
            else:
                bundles[f"{len(bundles)} {folder}"] = bundle
    if not bundles:
        reasons = "; ".join(f"{each.bundle}: {each.reason}" for each in left_out[:3])
        raise BackendError(f"{paths[0]}: no bundle in it can be measured here: {reasons}")
    return bundles, tuple(left_out)


def _rows(
    bundles: Mapping[str, Bundle], samples: Sequence[Sample], found: _Found, timing: Timing
) -> tuple[BundleMeasurement, ...]:
    first = next(iter(bundles))
    rows: list[BundleMeasurement] = []
    for key, bundle in bundles.items():
        manifest, times = bundle.manifest, found.times(key)
        figures, cold = latency(times, timing.threads), found.cold.get(key)
        medians = [float(np.quantile(each.times[key] / 1e6, 0.5, method="inverted_cdf")) for each in found.repeats]
        rows.append(
            BundleMeasurement(
                bundle=str(bundle.folder),
                bundle_sha256=file_digest(bundle.folder / FILE_NAME),
                target=manifest.target.name,
                precision=manifest.compiled.precision,
                backend=manifest.compiled.backend,
                backend_version=load_backend(manifest.compiled.backend).version(),
                placement=found.placements[key].summary(),
                size_bytes=bundle.size_bytes(),
                p50_ms=figures.p50_ms,
                p90_ms=figures.p90_ms,
                p99_ms=figures.p99_ms,
                runs=times.size,
                threads=timing.threads,
                images=len(samples),
                ratio=None
                if key == first
                else time_stats.speedup(found.times(first), times, block=BLOCK, seed=timing.seed),
                cold_start_ms=cold.cold_start_ms if cold else None,
                peak_rss_bytes=cold.peak_rss_bytes if cold else None,
                baseline_rss_bytes=cold.baseline_rss_bytes if cold else None,
                round_spread=figures.round_spread,
                repeat_p50_ms=tuple(medians) if len(medians) > 1 else (),
                detect_p50_ms=found.whole.get(key),
                warm_up=found.warm_up(key),
                paced=found.paced.get(key),
                **_tails(times),
                **figures_of(found.qualities.get(key), manifest.labels, is_first=key == first),
            )
        )
    return tuple(rows)


def _tails(times: _Times) -> dict[str, Any]:
    """p99.9 if there are enough runs, and how many runs p99 and p99.9 need."""
    p999 = time_stats.tail(times / 1e6, 0.999, block=BLOCK)
    needed = {name: time_stats.runs_for_tail(times, q, block=BLOCK) for name, q in _TAILS.items()}
    return needed | {"p999_ms": None if p999.low is None else p999}


def _worst(repeats: Sequence[Timed]) -> Conditions:
    """The worst value of each condition over the repeats."""
    waited = [repeat.conditions.waited for repeat in repeats if repeat.conditions.waited is not None]
    stolen = [repeat.conditions.stolen for repeat in repeats if repeat.conditions.stolen is not None]
    return Conditions(max(waited, default=None), max(stolen, default=None))


def _warnings(machine: Machine, met: Conditions, rows: Sequence[BundleMeasurement], threads: int) -> tuple[str, ...]:
    runs = rows[0].runs
    unsteady = [row.bundle for row in rows if row.warm_up and row.warm_up.steady_from is None]
    look = f"{runs} runs give only a rough idea: all times are indications" if runs < FEWEST_RUNS else ""
    warnings = (
        look,
        f"never became steady while warming up: {', '.join(unsteady)}" if unsteady else "",
        *(overload(row.paced) for row in rows if row.paced),
        too_many_threads(machine, threads),
        busy(machine, met, [row.round_spread for row in rows], threads),
    )
    return tuple(sentence for sentence in warnings if sentence)


def drift(times: Iterable[_Times]) -> tuple[str, ...]:
    """A warning if rounds resemble the one before so much that there are too few of them."""
    runs, worth = min(((each.size, time_stats.independent_rounds(each, block=BLOCK)) for each in times), key=_second)
    if runs < FEWEST_RUNS or worth >= _FEWEST_INDEPENDENT:
        return ()
    enough = math.ceil(runs * _FEWEST_INDEPENDENT / worth / 100) * 100
    return (
        f"drifting machine: {runs} runs tell as little as {worth:.0f} independent rounds, so intervals may be too "
        f"narrow; --runs {enough} are enough if it goes on like this",
    )


def _second(pair: tuple[int, float]) -> float:
    return pair[1]


def _cold_starts(
    bundles: Mapping[str, Bundle],
    image: NDArray[np.generic],
    threads: int,
    repeats: int,
    limits: Limits,
    progress: Progress,
) -> dict[str, ColdStart]:
    found: dict[str, ColdStart] = {}
    with progress.task("cold start", total=len(bundles)) as advance:
        for key, bundle in bundles.items():
            manifest = bundle.manifest
            found[key] = cold_start(
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
    first, *others = bundles.values()
    for other in others:
        if other.manifest.preprocessing != first.manifest.preprocessing:
            raise BundleError(
                f"{other.folder}: takes another input than {first.folder}; bundles timed together need the same input"
            )
    return first.manifest.preprocessing


def timed_examples(bundle: Bundle, data: Path | None, progress: Progress) -> list[NDArray[Any]]:
    """Some examples of `data`, or the golden ones, as the bundle's network takes them, those of the usual length.

    Raises BundleError without golden examples; DataError.
    """
    bundles = {"": bundle}
    paths = _timed_paths(bundles, labeled(data, bundles, progress) if data else ())
    return typical([load_example(path, bundle.manifest.preprocessing) for path in paths])


def _timed_paths(bundles: Mapping[str, Bundle], samples: Sequence[Sample]) -> list[Path]:
    bundle = next(iter(bundles.values()))
    if samples:
        return [Path(sample.path) for sample in spread(samples)]
    files = bundle.manifest.golden.files if bundle.manifest.golden else ()
    if not files:
        raise BundleError(f"{bundle.folder}: has no golden examples for timing; name a folder with --data")
    return [bundle.folder / file for file in files]
