"""Is a measurement worse than an earlier one, a `report.json` or the output of `edgetl bench --json`?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgetl.bench.measurement import BaselineCheck, BundleMeasurement, Measurement
from edgetl.bench.time_stats import ratio_of_two
from edgetl.errors import UsageError
from edgetl.report.devices import read_devices
from edgetl.report.model import Figures, read_report
from edgetl.report.words import milliseconds, percent, times, times_range
from edgetl.types import Estimate, Interval, Verdict
from edgetl.types.stats import difference_of_two

_NAMES = {"p50_ms": "p50", "p99_ms": "p99", "detect_p50_ms": "p50 of whole detections"}
_MOST_BYTES = 50_000_000
_Build = tuple[str, str]  # target and precision
_Known = Interval | Estimate | None


@dataclass(frozen=True)
class Before:
    """One build of the baseline. `times` by figure; processors and threads with which they were taken."""

    times: Mapping[str, _Known]
    score: Interval | None
    threads: int | None
    processors: str | None


@dataclass(frozen=True)
class Baseline:
    """The builds of a file by target and precision."""

    file: str
    builds: Mapping[_Build, Before]


def read_baseline(path: Path) -> Baseline:
    """Raises UsageError for a file that is neither a report nor a measurement, EdgetlError for a faulty one."""
    try:
        found: Any = json.loads(path.read_bytes()) if path.stat().st_size <= _MOST_BYTES else None
    except OSError as error:
        raise UsageError(f"--baseline {path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--baseline {path}: not JSON; expected report.json or the output of --json") from error
    if not isinstance(found, dict) or "bundles" not in found:
        raise UsageError(f"--baseline {path}: expected report.json, or the output of `edgetl bench BUNDLE --json`")
    builds = _of_measurement(path) if "harness" in found else _of_report(path)
    return Baseline(str(path), dict(builds))


def against(measurement: Measurement, baseline: Baseline, tolerance: float = 0.0) -> Measurement:
    """The measurement with a check of every figure that the baseline has with an interval, and that has one now.

    tolerance  by how much times may grow, as a fraction
    A check fails if the whole interval of the change is on the wrong side. Raises UsageError if no bundle is in the
    baseline.
    """
    checks = tuple(
        check
        for place, bundle in enumerate(measurement.bundles)
        for check in _checks(place, bundle, measurement, baseline, tolerance)
    )
    if all(_build(bundle) not in baseline.builds for bundle in measurement.bundles):
        known = ", ".join(" ".join(build) for build in list(baseline.builds)[:5]) or "none"
        raise UsageError(f"--baseline {baseline.file}: none of these bundles is in it; its builds: {known}")
    return replace(measurement, baseline=checks)


def _checks(
    place: int, bundle: BundleMeasurement, measurement: Measurement, baseline: Baseline, tolerance: float
) -> Iterator[BaselineCheck]:
    name = " ".join(_build(bundle))
    before = baseline.builds.get(_build(bundle))
    if before is None:
        yield BaselineCheck(place, "build", None, None, None, "not measured", f"{name}: not in {baseline.file}")
        return
    for figure in _NAMES:
        yield from _time(place, figure, bundle, measurement, before, tolerance)
    if before.score is not None and bundle.first_score is not None:
        yield _score(place, bundle, before.score, bundle.first_score)


def _time(
    place: int, figure: str, bundle: BundleMeasurement, measurement: Measurement, before: Before, tolerance: float
) -> Iterator[BaselineCheck]:
    then, now = before.times.get(figure), getattr(bundle, figure)
    if then is None or now is None:
        return
    what = f"{' '.join(_build(bundle))}: {_NAMES[figure]}"
    one, two = _interval(then), _interval(now)
    other = _other(bundle, measurement, before)
    if other or one is None or two is None:
        which = "now" if one else "in the baseline"
        reason = other or f"{which} it is an indication, without an interval: more runs"
        yield BaselineCheck(place, figure, _estimate(then), _estimate(now), None, "not measured", f"{what}: {reason}")
        return
    change = ratio_of_two(one, two)
    worse = change.low > 1 + tolerance
    sentence = (
        f"{what} before {_milliseconds(one)}, after {_milliseconds(two)}: "
        f"{times(change.value)} the time ({times_range(change.low, change.high)})"
    )
    busy = "; ".join(measurement.warnings)
    reason = f"{sentence}; {busy}" if busy else sentence
    yield BaselineCheck(place, figure, _estimate(one), _estimate(two), change, "fail" if worse else "pass", reason)


def _score(place: int, bundle: BundleMeasurement, then: Interval, now: Interval) -> BaselineCheck:
    lost = difference_of_two(then, now)
    points = Interval(100 * lost.value, 100 * lost.low, 100 * lost.high)
    reason = (
        f"{' '.join(_build(bundle))}: {bundle.metric} before {percent(then.value)} %, after {percent(now.value)} %: "
        f"{points.value:.1f} points lost ({points.low:.1f} to {points.high:.1f})"
    )
    verdict: Verdict = "fail" if points.low > 0 else "pass"
    return BaselineCheck(place, "score", _estimate(then), _estimate(now), points, verdict, reason)


def _other(bundle: BundleMeasurement, measurement: Measurement, before: Before) -> str:
    """Why times cannot be compared; "" if they can."""
    if before.processors is not None and before.processors != measurement.machine.processors:
        return f"times of another machine: {before.processors} before, {measurement.machine.processors} now"
    if before.threads is not None and before.threads != bundle.threads:
        return f"times of {before.threads} threads before, {bundle.threads} now: --threads {before.threads}"
    return ""


def _of_measurement(path: Path) -> Iterator[tuple[_Build, Before]]:
    measurement = read_devices([path])[0].measurement
    for row in measurement.bundles:
        figures = {figure: getattr(row, figure) for figure in _NAMES}
        yield _build(row), Before(figures, row.first_score, row.threads, measurement.machine.processors)


def _of_report(path: Path) -> Iterator[tuple[_Build, Before]]:
    report = read_report(path)
    processors = report.machine.processors if report.machine else None
    for bundle in report.bundles:
        if bundle.precision is not None:
            yield (bundle.target, bundle.precision), _of_figures(bundle, processors)
        for build in bundle.builds:
            yield (bundle.target, build.precision), _of_figures(build, processors)


def _of_figures(found: Figures, processors: str | None) -> Before:
    p50 = _known(found.p50_ms, found.p50_ms_low, found.p50_ms_high)
    p99 = _known(found.p99_ms, found.p99_ms_low, found.p99_ms_high)
    score = _known(found.score, found.score_low, found.score_high)
    return Before({"p50_ms": p50, "p99_ms": p99}, _interval(score), found.threads, processors)


def _known(value: float | None, low: float | None, high: float | None) -> Estimate | None:
    return None if value is None else Estimate(value, low, high)


def _interval(found: _Known) -> Interval | None:
    if found is None or found.low is None or found.high is None:
        return None
    return Interval(found.value, found.low, found.high)


def _estimate(found: Interval | Estimate) -> Estimate:
    return Estimate(found.value, found.low, found.high)


def _milliseconds(found: Interval) -> str:
    return f"{milliseconds(found.value)} ms ({milliseconds(found.low)} to {milliseconds(found.high)})"


def _build(bundle: BundleMeasurement) -> _Build:
    return bundle.target, bundle.precision
