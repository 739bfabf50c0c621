"""`edgetl bench --on`: measurements on devices, shown, judged, and merged into a recipe's report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgetl.cli.on import DeviceOptions, emit_outcomes, measure_on, say_errors
from edgetl.cli.options import RecipeOptions, emit, progress_for
from edgetl.cli.result_files import refuse_unwritable, write_files

if TYPE_CHECKING:
    from edgetl.bench.measurement import Measurement
    from edgetl.devices.jobs import Timed
    from edgetl.devices.side_by_side import Outcome


@dataclass(frozen=True)
class Wanted:
    """The options of `edgetl bench` that hold on devices."""

    runs: int
    warmup: int | None
    cold_starts: int
    duration_s: float | None
    rate_hz: float | None
    arrivals: str
    threads: int
    time_limit_s: float
    gates: tuple[str, ...]
    baseline_file: Path | None
    tolerance: float
    csv_file: Path | None
    junit_file: Path | None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Wanted:
        return cls(**{name: values[name] for name in cls.__dataclass_fields__})

    def timed(self) -> Timed:
        from edgetl.devices.jobs import Timed
        from edgetl.errors import UsageError

        if self.runs < 300:
            raise UsageError(f"--runs {self.runs}: on a device at least 300")
        arrivals = None if self.rate_hz is None else self.arrivals
        return Timed(self.runs, self.warmup, self.cold_starts, self.duration_s, self.rate_hz, arrivals)


def bench_bundles(paths: Sequence[Path], options: RecipeOptions, place: DeviceOptions, wanted: Wanted) -> int:
    """Measure bundles on every device; print, write and judge as on this machine."""
    from edgetl.bench.bundle_gates import judge_bundles, parse_gates
    from edgetl.cli.bench import exit_code, show
    from edgetl.report.baseline import against, read_baseline

    refuse_unwritable(wanted.csv_file, wanted.junit_file)
    gates = parse_gates(wanted.gates)
    baseline = read_baseline(wanted.baseline_file) if wanted.baseline_file else None

    def judged(found: Measurement) -> Measurement:
        found = judge_bundles(found, gates)
        return found if baseline is None else against(found, baseline, wanted.tolerance / 100)

    devices = place.devices()
    how = place.how(devices, wanted.time_limit_s, wanted.threads)
    found = measure_on(place, devices, paths, wanted.timed(), how, progress_for(options.quiet))
    found = [replace(each, value=judged(each.value)) if each.value else each for each in found]
    if options.as_json:
        emit_outcomes(found, asdict)
    for outcome in found:
        if outcome.value:
            if not options.as_json:
                click.echo(f"{outcome.device.name}:")
            show(outcome.value, table=not options.as_json)
    _write(found, wanted)
    return say_errors(found) or max((exit_code(each.value) for each in found if each.value), default=1)


def bench_recipe(options: RecipeOptions, place: DeviceOptions, wanted: Wanted) -> int:
    """Build RECIPE, measure its bundles on every device, and write the report with these measurements."""
    from edgetl.cli.build import show_report
    from edgetl.cli.chain import outcome_json, quieten_torch
    from edgetl.report.devices import read_devices
    from edgetl.stages.pipeline import run

    timed, devices = wanted.timed(), place.devices(options.targets_dirs)
    how = place.how(devices, wanted.time_limit_s, wanted.threads)
    job, progress = options.job(), progress_for(options.quiet)
    quieten_torch()
    built = run(job, progress, "report")
    found = measure_on(place, devices, [built.out / "bundles"], timed, how, progress)
    texts = {
        built.out / "devices" / each.device.file_name: json.dumps(asdict(each.value), indent=1) + "\n"
        for each in found
        if each.value
    }
    if texts:
        (built.out / "devices").mkdir(exist_ok=True)
        write_files(texts)
        built = run(job, progress, "report", read_devices(list(texts)))
    if options.as_json:
        emit(outcome_json(built))
    else:
        show_report(built)
    return say_errors(found) or (0 if built.passed else 3)


def _write(found: Sequence[Outcome[Measurement]], wanted: Wanted) -> None:
    from edgetl.bench import measured_rows
    from edgetl.bench.ci_files import csv_text, junit_text

    done = [(each.device.name, each.value) for each in found if each.value]
    texts: dict[Path, str] = {}
    if wanted.csv_file is not None:
        rows = [{"device": name, **row} for name, value in done for row in measured_rows.rows(value)]
        texts[wanted.csv_file] = csv_text(rows)
    if wanted.junit_file is not None:
        cases = [(name, case) for name, value in done for case in measured_rows.cases(value)]
        named = [replace(case, subject=f"{name}: {case.subject}") for name, case in cases]
        texts[wanted.junit_file] = junit_text("edgetl.bench", named)
    write_files(texts)
