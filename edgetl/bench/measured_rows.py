"""A measurement of bundles as table rows (per bundle and per run) and as tests, one per gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.bench.ci_files import Case, Row
from edgetl.bench.gate_checks import GateCheck
from edgetl.bench.latency import BLOCK
from edgetl.bench.measurement import BundleMeasurement, Measurement
from edgetl.types import Estimate, Interval, Verdict

_PLAIN = ("bundle", "bundle_sha256", "target", "precision", "backend", "backend_version", "placement", "size_bytes")
_TIMES = ("p50_ms", "p90_ms", "p99_ms", "p999_ms", "ratio", "detect_p50_ms")


def rows(measurement: Measurement) -> list[Row]:
    """One row per bundle. Columns `recall.<class>`, or `ap.<class>` of detectors, hold the scores of single classes,
    `top1.<head>` those of several heads."""
    return [_row(measurement, each) for each in measurement.bundles]


def runs(measurement: Measurement, times: Sequence[Sequence[NDArray[np.int64]]]) -> list[Row]:
    """One row per timed run: bundle, repeat, round and run from 1, milliseconds.

    times  per bundle and repeat (runs,) nanoseconds, in the order of the runs
    """
    return [
        {
            "number": number,
            "bundle": bundle.bundle,
            "repeat": repeat,
            "round": run // BLOCK + 1,
            "run": run + 1,
            "ms": nanoseconds / 1e6,
        }
        for number, (bundle, repeats) in enumerate(zip(measurement.bundles, times, strict=True), 1)
        for repeat, series in enumerate(repeats, 1)
        for run, nanoseconds in enumerate(series.tolist())
    ]


def cases(measurement: Measurement) -> list[Case]:
    """One test per gate of each bundle, or that it was measured without gates, and one per figure of a baseline. A
    bundle that was left out is skipped, or a failure if it is damaged."""
    found: list[Case] = []
    checks = {each.place: each.checks for each in measurement.gates}
    for place, subject in enumerate(measurement.names()):
        found += [Case(subject, _name(check), check.verdict, check.reason) for check in checks.get(place, ())]
        if place not in checks:
            found.append(Case(subject, "measured", "pass", "no gate was given (--gate)"))
    names = measurement.names()
    for each in measurement.baseline:
        found.append(Case(names[each.place], f"baseline.{each.figure}", each.verdict, each.reason))
    for left in measurement.left_out:
        verdict: Verdict = "fail" if left.damaged else "not measured"
        found.append(Case(left.bundle.rpartition("/")[2], "measured", verdict, left.reason))
    return found


def _row(measurement: Measurement, bundle: BundleMeasurement) -> Row:
    machine = measurement.machine
    row: dict[str, Any] = {"created": measurement.created}
    row |= {name: getattr(bundle, name) for name in _PLAIN}
    for name in _TIMES:
        row |= _interval(name, getattr(bundle, name))
    row |= {name: getattr(bundle, name) for name in ("runs", "threads", "round_spread", "cold_start_ms")}
    row |= _interval("paced_p50_ms", bundle.paced.p50_ms if bundle.paced else None)
    row |= _interval("paced_p99_ms", bundle.paced.p99_ms if bundle.paced else None)
    row |= {"peak_rss_bytes": bundle.peak_rss_bytes, "images": bundle.images}
    row |= _interval("top1", bundle.top1) | _interval("drop_points", bundle.drop_points)
    row |= {"metric": bundle.metric} | _interval("score", bundle.first_score)
    row |= {"repeats": max(1, len(bundle.repeat_p50_ms))}
    row |= {"repeat_p50_ms": " ".join(f"{value:.6g}" for value in bundle.repeat_p50_ms)}
    row |= {"cpu": machine.processors, "usable_cores": machine.usable_cores, "load_average": machine.load_average}
    met = measurement.conditions
    row |= {"waited": met.waited if met else None, "stolen": met.stolen if met else None}
    row |= {"warnings": "; ".join(measurement.warnings)}
    row |= {f"top1.{each.head}": each.top1.value for each in bundle.heads}
    row |= {f"ap.{each.label}": each.ap.value if each.ap else None for each in bundle.precisions}
    row |= {f"recall.{each.label}": each.recall.value if each.recall else None for each in bundle.recalls}
    return row


def _interval(name: str, found: Interval | Estimate | None) -> dict[str, float | None]:
    if found is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _name(check: GateCheck) -> str:
    return f"{check.gate}.{check.label}" if check.label else check.gate
