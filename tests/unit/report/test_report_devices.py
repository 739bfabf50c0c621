"""Files that devices sent: what they say reaches the report; what is wrong with them ends in one line."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from measurements import measured_bundle
from rich.console import Console
from small_reports import bundle, report

from edgetl.bench.machine import Machine
from edgetl.bench.measurement import BeforeAfter, BundleMeasurement, Measurement
from edgetl.bench.measurement_file import MAX_FILE_BYTES
from edgetl.errors import EdgetlError
from edgetl.report.devices import DeviceFile, device_rows, read_devices
from edgetl.report.model import Build
from edgetl.report.terminal import show_report
from edgetl.types import Estimate, Interval

DIGEST = "a" * 64
PI = Machine(
    "Raspberry Pi 5 Model B Rev 1.0", "aarch64", ("neon",), 4, 4, None, 2400.0, None, None, 0.1, 10**9, "Linux", None
)
FOUND = measured_bundle(
    bundle="/opt/steel",
    bundle_sha256=DIGEST,
    target="arm64-cpu",
    backend_version="1.31.0",
    placement=None,
    size_bytes=2_500_000,
    p50_ms=Interval(11.5, 11.25, 11.75),
    p90_ms=Interval(12.0, 11.9, 12.5),
    p99_ms=Estimate(14.0, 13.0, 15.0),
    threads=4,
    cold_start_ms=80.5,
    peak_rss_bytes=52_000_000,
    baseline_rss_bytes=4_000_000,
)
MEASURED = Measurement(
    "edgetl c++", "2027-01-15T08:00:00+00:00", PI, BeforeAfter(2400.0, 2400.0), BeforeAfter(41.0, 62.0), (FOUND,)
)
SHIPPED = bundle(
    "arm64-cpu",
    bundle_sha256=DIGEST,
    measured=False,
    emulated=True,
    builds=(Build(precision="int8", verdict="pass", reason=""), Build(precision="float32", verdict="pass", reason="")),
)


def write(folder: Path, content: Any) -> Path:
    path = folder / "pi5.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def rows(*found: BundleMeasurement) -> tuple[Any, ...]:
    return device_rows([DeviceFile("pi5.json", replace(MEASURED, bundles=found))], [SHIPPED])


def test_what_a_device_wrote_is_read_back_as_it_was(tmp_path: Path) -> None:
    (file,) = read_devices([write(tmp_path, asdict(MEASURED))])
    assert file == DeviceFile("pi5.json", MEASURED)


def test_a_row_holds_the_machine_the_figures_and_the_file() -> None:
    (row,) = rows(FOUND)
    assert (row.file, row.harness, row.created[:10]) == ("pi5.json", "edgetl c++", "2027-01-15")
    assert row.machine == PI
    assert (row.p50_ms_low, row.p50_ms, row.p50_ms_high) == (11.25, 11.5, 11.75)
    assert (row.cold_start_ms, row.peak_rss_bytes, row.threads) == (80.5, 52_000_000, 4)
    assert (row.temperature_c_before, row.temperature_c_after) == (41.0, 62.0)


def test_a_device_that_ran_on_its_gpu_names_it(tmp_path: Path) -> None:
    (file,) = read_devices([write(tmp_path, asdict(replace(MEASURED, machine=replace(PI, gpu="Some GPU 9"))))])
    (row,) = device_rows([file], [SHIPPED])
    assert row.machine.processors == "Some GPU 9, Raspberry Pi 5 Model B Rev 1.0"


def test_only_the_very_bundle_counts_as_this_bundle() -> None:
    other = replace(FOUND, bundle_sha256="b" * 64)
    found = rows(FOUND, other, replace(other, precision="float32"), replace(other, target="x86-cpu"))
    assert [row.match for row in found] == ["this bundle", "another build", "another build", "another bundle"]


def changed(**keys: Any) -> dict[str, Any]:
    return {**asdict(MEASURED), **keys}


def with_bundle(**keys: Any) -> dict[str, Any]:
    return changed(bundles=[{**asdict(FOUND), **keys}])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "schema 1"),
        ("[1]", "schema 1"),
        ("[" * 10_000, "schema 1"),
        (changed(schema=2), "`schema`"),
        (changed(surprise=1), "`surprise`"),
        (changed(harness="stopwatch"), "`harness`"),
        (with_bundle(surprise=1), "`bundles.0.surprise`"),
        (with_bundle(threads="4"), "`bundles.0.threads`"),
        (with_bundle(threads=-4), "`threads`: expected a number >= 0; found -4"),
        (with_bundle(cold_start_ms=float("nan")), "`cold_start_ms`: expected a number >= 0"),
        (with_bundle(p50_ms={"value": 3, "low": 4, "high": 5}), "`p50_ms`: expected 0 <= low <= value <= high"),
        (with_bundle(p99_ms={"value": 3, "low": 2, "high": float("inf")}), "`p99_ms`"),
        ({key: value for key, value in asdict(MEASURED).items() if key != "machine"}, "`machine`"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: Any, words: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(EdgetlError) as refused:
        read_devices([path])
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert words in message
    assert "\n" not in message


def test_a_file_that_is_too_large_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgetlError, match=r"absent\.json: cannot read the device's result: No such file"):
        read_devices([tmp_path / "absent.json"])
    with pytest.raises(EdgetlError, match=f"more than {MAX_FILE_BYTES} bytes"):
        read_devices([write(tmp_path, " " * (MAX_FILE_BYTES + 1))])


def test_the_terminal_shows_devices_within_80_columns() -> None:
    devices = rows(replace(FOUND, bundle_sha256="b" * 64))
    stream = io.StringIO()
    show_report(report(SHIPPED, devices=devices), Console(file=stream, width=80))
    text = stream.getvalue()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    words = " ".join(text.split())
    for expected in ("Measured on devices", "another build", "11.5", "11.2–11.8", "4 threads", "2027-01-15", "52.0 MB"):
        assert expected in words
