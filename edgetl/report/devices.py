"""Measurements on devices, from the JSON files that `edgetl-bench` and `edgetl bench BUNDLE` write there.

The files are untrusted: their size is bounded, and unknown keys, other schemas and impossible numbers are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetl.bench.measurement import BundleMeasurement, Measurement
from edgetl.bench.measurement_file import MAX_FILE_BYTES, parse_measurement
from edgetl.bench.timed import P99_RUNS
from edgetl.errors import EdgetlError
from edgetl.report.intervals import interval
from edgetl.report.model import Bundle, Device, DeviceMatch
from edgetl.types import Estimate


@dataclass(frozen=True)
class DeviceFile:
    """One such file. `name` is its file name without folders."""

    name: str
    measurement: Measurement


def read_devices(paths: Sequence[Path]) -> tuple[DeviceFile, ...]:
    """Read and check the files. Raises EdgetlError naming the first invalid one."""
    return tuple(DeviceFile(path.name, _read(path)) for path in paths)


def device_rows(files: Sequence[DeviceFile], bundles: Sequence[Bundle]) -> tuple[Device, ...]:
    """One row per bundle and file; each says whether it concerns a bundle of this report. Pure."""
    return tuple(_row(file, found, bundles) for file in files for found in file.measurement.bundles)


def _read(path: Path) -> Measurement:
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise EdgetlError(f"{path}: cannot read the device's result: {error.strerror}") from error
    return parse_measurement(text, str(path))


def _row(file: DeviceFile, found: BundleMeasurement, bundles: Sequence[Bundle]) -> Device:
    measurement = file.measurement
    return Device(
        file=file.name,
        match=_match(found, bundles),
        bundle=found.bundle,
        bundle_sha256=found.bundle_sha256,
        target=found.target,
        precision=found.precision,
        backend=found.backend,
        backend_version=found.backend_version,
        harness=measurement.harness,
        created=measurement.created,
        machine=measurement.machine,
        size_bytes=found.size_bytes,
        runs=found.runs,
        threads=found.threads,
        images=found.images,
        cold_start_ms=found.cold_start_ms,
        peak_rss_bytes=found.peak_rss_bytes,
        baseline_rss_bytes=found.baseline_rss_bytes,
        clock_mhz_before=measurement.clock_mhz.before,
        clock_mhz_after=measurement.clock_mhz.after,
        temperature_c_before=measurement.temperature_c.before,
        temperature_c_after=measurement.temperature_c.after,
        **interval("p50_ms", found.p50_ms),
        **interval("p90_ms", found.p90_ms),
        **interval("p99_ms", _p99(found)),
        **interval("detect_p50_ms", found.detect_p50_ms),
        **interval("top1", found.top1),
        **interval("score", found.first_score),
    )


def _p99(found: BundleMeasurement) -> Estimate | None:
    """With too few runs p99 is an indication, whatever the device says."""
    return Estimate(found.p99_ms.value) if found.p99_ms and found.runs < P99_RUNS else found.p99_ms


def _match(found: BundleMeasurement, bundles: Sequence[Bundle]) -> DeviceMatch:
    if any(bundle.bundle_sha256 == found.bundle_sha256 for bundle in bundles):
        return "this bundle"
    builds = {(bundle.target, build.precision) for bundle in bundles for build in bundle.builds}
    return "another build" if (found.target, found.precision) in builds else "another bundle"
