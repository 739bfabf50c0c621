"""edgetl bench"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from edgetl.cli.chain import run_chain, show_folders
from edgetl.cli.command_help import Command
from edgetl.cli.on import DeviceOptions, device_options, refuse_here
from edgetl.cli.options import (
    FILE,
    FiniteRange,
    RecipeOptions,
    duration_option,
    emit,
    given,
    progress_for,
    recipe_options,
    runs_option,
    threads_option,
    time_limit_option,
    warmup_option,
)
from edgetl.cli.result_files import csv_option, junit_option, refuse_unwritable, write_files

_OF_BUNDLES = {
    "threads": "; with a recipe: --set bench.threads={}",
    "runs": "; with a recipe: --set bench.runs={}",
    "warmup": "; with a recipe: --set bench.warmup={}",
    "duration_s": "",
    "rate_hz": "",
    "arrivals": "",
    "data": "; a recipe is validated on its `data.val`, or on the examples that are not shots",
    "cold_starts": "",
    "time_limit_s": "",
    "repeats": "",
    "gates": "; a recipe has its own `gates`",
    "baseline_file": "; give it with the bundles that the recipe made",
    "tolerance": "",
    "csv_file": "; for a recipe: edgetl report RECIPE --csv FILE",
    "junit_file": "; for a recipe: edgetl report RECIPE --junit FILE",
    "runs_file": "",
}
"""Options for bundles, each with its equivalent for a recipe."""
_OF_RECIPES = ("overrides", "out", "weights_dirs", "targets_dirs", "calibration_dirs", "allow_leak")


@click.command("bench", cls=Command)
@recipe_options
@click.argument("bundles", type=FILE, nargs=-1)
@click.option(
    "--data",
    type=FILE,
    help="With bundles: labeled images or clips (one sub-folder per class) for top-1 and the recall of every class, or "
    "annotated objects (docs/guide/detection.md) for AP. Use files that the recipe has not used.",
)
@runs_option("With bundles: timed runs of each.")
@duration_option("With bundles: time whole rounds for so long, instead of --runs.")
@warmup_option("With bundles: untimed runs.")
@click.option(
    "--rate",
    "rate_hz",
    type=FiniteRange(0.001, 1_000_000),
    metavar="HZ",
    help="With bundles: also measure with so many arrivals a second; latency counts from the arrival.",
)
@click.option(
    "--arrivals",
    type=click.Choice(("fixed", "poisson")),
    default="fixed",
    show_default=True,
    help="With --rate: equal gaps, or independent random ones.",
)
@click.option(
    "--repeat",
    "repeats",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="With bundles: open and time all of them this many times; shows the spread between repeats.",
)
@click.option(
    "--cold-starts",
    type=click.IntRange(0, 100),
    default=3,
    show_default=True,
    help="With bundles: fresh processes per bundle that open it and infer once.",
)
@click.option(
    "--gate",
    "gates",
    metavar="KEY=VALUE",
    multiple=True,
    help="With bundles: max_p99_ms=5, min_top1=0.95, min_recall.LABEL=0.9 or max_size_bytes=5000000; repeatable. "
    "Exit code 3 if one is missed.",
)
@click.option(
    "--baseline",
    "baseline_file",
    type=FILE,
    metavar="FILE",
    help="With bundles: an earlier report.json or JSON result. Exit code 3 if the intervals show that a time or the "
    "accuracy of the same target and build got worse.",
)
@click.option(
    "--tolerance",
    type=FiniteRange(0, 1000),
    default=0,
    show_default=True,
    metavar="PERCENT",
    help="By how much times may grow over the baseline.",
)
@csv_option
@junit_option
@click.option(
    "--save-runs",
    "runs_file",
    type=FILE,
    metavar="FILE",
    help="With bundles: also write the time of every run, as CSV.",
)
@threads_option
@time_limit_option
@device_options
def command(
    options: RecipeOptions,
    bundles: tuple[Path, ...],
    data: Path | None,
    runs: int,
    duration_s: float | None,
    warmup: int | None,
    rate_hz: float | None,
    arrivals: Any,
    repeats: int,
    cold_starts: int,
    gates: tuple[str, ...],
    baseline_file: Path | None,
    tolerance: float,
    csv_file: Path | None,
    junit_file: Path | None,
    runs_file: Path | None,
    threads: int,
    time_limit_s: float,
    place: DeviceOptions,
) -> int:
    """Measure the builds of RECIPE, or finished bundles on this machine (which needs no torch).

    A folder of bundles means all bundles in it that can run here; a bundle named twice is measured twice.
    Accuracy on files the recipe has already used is optimistic: pass unseen ones with --data.

    \b
      edgetl bench recipe.yaml
      edgetl bench bundles/steel-x86-cpu --data photos-test
      edgetl bench bundles/steel-x86-cpu bundles/steel-intel-cpu    # interleaved
      edgetl bench bundles --gate max_p99_ms=5 --csv bench.csv --junit bench.xml
      edgetl bench bundles --baseline main/report.json --junit bench.xml
      edgetl bench bundles/steel-x86-cpu --rate 30 --duration 60
      edgetl bench recipe.yaml --on pi5 --on jetson    # by ssh, into the report
    """
    if place.on:
        refuse_here(("data", "repeats", "runs_file"))
        return _on_devices(options, bundles, place)
    if not options.recipe.is_dir():
        _refuse_mixed(options.recipe, bundles)
        _refuse_options_of_bundles(options.recipe)
        return run_chain(options.job(), "bench", quiet=options.quiet, as_json=options.as_json, show=show_folders)
    _refuse_options_of_recipes(options.recipe)
    refuse_unwritable(csv_file, junit_file, runs_file)
    from edgetl.backends.fresh_process import Limits
    from edgetl.bench.bundle_gates import judge_bundles, parse_gates
    from edgetl.bench.bundles import measure_bundles
    from edgetl.bench.paced import Pace
    from edgetl.bench.timed import Timing
    from edgetl.report.baseline import against, read_baseline

    wanted = parse_gates(gates)
    baseline = read_baseline(baseline_file) if baseline_file is not None else None
    for_p99 = wanted.max_p99_ms is not None and not given(("runs", "duration_s"))
    measured = measure_bundles(
        (options.recipe, *bundles),
        data,
        Timing(
            runs,
            warmup,
            threads,
            for_p99=for_p99,
            duration_s=duration_s,
            pace=None if rate_hz is None else Pace(rate_hz, arrivals),
        ),
        progress_for(options.quiet),
        cold_starts=cold_starts,
        repeats=repeats,
        limits=Limits(time_limit_s, "--time-limit"),
    )
    measurement = judge_bundles(measured.measurement, wanted)
    if baseline is not None:
        measurement = against(measurement, baseline, tolerance / 100)
    if options.as_json:
        emit(asdict(measurement))
    show(measurement, table=not options.as_json)
    _write(measurement, measured.times, csv_file, junit_file, runs_file)
    return exit_code(measurement)


def _on_devices(options: RecipeOptions, bundles: tuple[Path, ...], place: DeviceOptions) -> int:
    from edgetl.cli.bench_on import Wanted, bench_bundles, bench_recipe

    wanted = Wanted.of(click.get_current_context().params)
    if options.recipe.is_dir():
        _refuse_options_of_recipes(options.recipe)
        return bench_bundles((options.recipe, *bundles), options, place, wanted)
    _refuse_mixed(options.recipe, bundles)
    _refuse_options_of_bundles(options.recipe, ("gates", "csv_file", "junit_file", "baseline_file", "tolerance"))
    return bench_recipe(options, place, wanted)


def show(measurement: Any, *, table: bool = True) -> None:
    """Print warnings and what was left out on stderr, and the table."""
    from edgetl.report.measured_table import show_measured

    for warning in measurement.warnings:
        click.echo(f"edgetl: {warning}", err=True)
    for left in measurement.left_out:
        click.echo(f"edgetl: left out: {left.reason if left.damaged else f'{left.bundle}: {left.reason}'}", err=True)
    if table:
        show_measured(measurement)


def _write(
    measurement: Any, times: Any, csv_file: Path | None, junit_file: Path | None, runs_file: Path | None
) -> None:
    from edgetl.bench import measured_rows
    from edgetl.bench.ci_files import csv_text, junit_text

    texts: dict[Path, str] = {}
    if csv_file is not None:
        texts[csv_file] = csv_text(measured_rows.rows(measurement))
    if junit_file is not None:
        texts[junit_file] = junit_text("edgetl.bench", measured_rows.cases(measurement))
    if runs_file is not None:
        texts[runs_file] = csv_text(measured_rows.runs(measurement, times))
    write_files(texts)


def exit_code(measurement: Any) -> int:
    """3 if a gate is missed or something is worse than the baseline, 1 if a bundle of a folder is damaged."""
    gates = [check for each in measurement.gates for check in each.checks]
    if any(check.verdict == "fail" for check in (*gates, *measurement.baseline)):
        return 3
    return 1 if any(left.damaged for left in measurement.left_out) else 0


def _refuse_mixed(recipe: Path, bundles: tuple[Path, ...]) -> None:
    if bundles:
        from edgetl.errors import UsageError

        raise UsageError(f"{recipe} is not a bundle folder; give either one recipe or bundle folders")


def _refuse_options_of_bundles(recipe: Path, names: Sequence[str] = tuple(_OF_BUNDLES)) -> None:
    for name, option in given(names).items():
        instead = _OF_BUNDLES[name].format(click.get_current_context().params[name])
        raise click.UsageError(f"{option} needs a bundle folder, and {recipe} is not one{instead}")


def _refuse_options_of_recipes(bundle: Path) -> None:
    for option in given(_OF_RECIPES).values():
        raise click.UsageError(f"{option} needs a recipe, and {bundle} is a folder")
