"""A bundle as `edgetl bench` measures it, without measuring."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgetl.bench.machine import describe
from edgetl.bench.measurement import BeforeAfter, BundleMeasurement, Measurement
from edgetl.types import Estimate, Interval

_PLAIN = BundleMeasurement(
    bundle="out/steel-x86-cpu",
    bundle_sha256="0" * 64,
    target="x86-cpu",
    precision="int8",
    backend="onnxruntime",
    backend_version="1.31",
    placement="int8 52",
    size_bytes=1000,
    p50_ms=Interval(4, 3.9, 4.1),
    p90_ms=Interval(5, 4.8, 5.2),
    p99_ms=Estimate(6),
    runs=300,
    threads=1,
    images=0,
    top1=None,
    ratio=None,
    cold_start_ms=None,
    peak_rss_bytes=None,
    baseline_rss_bytes=None,
)


def measured_bundle(**changes: Any) -> BundleMeasurement:
    """Timed, without labeled images and cold starts; fields of other values in `changes`."""
    return replace(_PLAIN, **changes)


def measurement(*bundles: BundleMeasurement, **changes: Any) -> Measurement:
    """By the Python harness on this machine."""
    nothing = BeforeAfter(None, None)
    created = "2026-01-01T00:00:00+00:00"
    return replace(Measurement("edgetl python", created, describe(), nothing, nothing, bundles), **changes)
