"""Reads measurements of other machines: untrusted JSON of `edgetl-bench --json` and `edgetl bench BUNDLE --json`."""

from __future__ import annotations

import math

from pydantic import TypeAdapter, ValidationError

from edgetl.bench.measurement import BundleMeasurement, Measurement
from edgetl.errors import EdgetlError
from edgetl.files.json_file import first_problem
from edgetl.types import Estimate, Interval

MAX_FILE_BYTES = 4_000_000


def parse_measurement(text: bytes, where: str) -> Measurement:
    """Check a whole document. Raises EdgetlError, beginning with `where`, for one that is too large, of another schema,
    or has impossible numbers."""
    if len(text) > MAX_FILE_BYTES:
        raise EdgetlError(f"{where}: more than {MAX_FILE_BYTES} bytes; a device's result is smaller")
    try:
        measurement = TypeAdapter(Measurement).validate_json(text, strict=True)
    except ValidationError as error:
        expected = "expected the output of `edgetl-bench --json`, schema 1"
        raise EdgetlError(f"{where}: {expected}; found: {first_problem(error)}") from error
    for bundle in measurement.bundles:
        _check(where, bundle)
    return measurement


def _check(where: str, bundle: BundleMeasurement) -> None:
    for key in ("p50_ms", "p90_ms", "p99_ms", "ratio", "top1", "score", "detect_p50_ms"):
        interval: Interval | Estimate | None = getattr(bundle, key)
        if interval is not None and not _is_possible(interval):
            raise EdgetlError(
                f"{where}: {bundle.bundle}: `{key}`: expected 0 <= low <= value <= high; found {interval}"
            )
    for key in ("cold_start_ms", "peak_rss_bytes", "baseline_rss_bytes", "size_bytes", "runs", "threads"):
        value = getattr(bundle, key)
        if value is not None and not 0 <= value < math.inf:
            raise EdgetlError(f"{where}: {bundle.bundle}: `{key}`: expected a number >= 0; found {value}")


def _is_possible(found: Interval | Estimate) -> bool:
    low = found.value if found.low is None else found.low
    high = found.value if found.high is None else found.high
    return 0 <= low <= found.value <= high < math.inf
