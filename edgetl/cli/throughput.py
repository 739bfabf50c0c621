"""edgetl throughput"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, FiniteRange, duration_option, emit, json_option, progress_for, quiet_option

if TYPE_CHECKING:
    from edgetl.bench.throughput import Point, Throughput


@click.command("throughput", cls=Command)
@click.argument("bundle", type=FILE)
@click.option(
    "--p99-limit-ms",
    "limit_ms",
    type=FiniteRange(0.001, 1_000_000),
    metavar="MS",
    help="Only settings whose p99 is within it.",
)
@duration_option("For each setting.", 2)
@quiet_option
@json_option
def command(bundle: Path, limit_ms: float | None, duration_s: float, quiet: bool, as_json: bool) -> int:
    """Search for the streams, threads and examples per batch with which BUNDLE takes the most examples a second.

    A stream is an engine of its own; all run at the same time. Exit code 3 if no setting is within the limit.

    \b
      edgetl throughput bundles/steel-x86-cpu --p99-limit-ms 20
    """
    from edgetl.bench.throughput import search

    found = search(bundle, limit_ms, duration_s, progress_for(quiet))
    if as_json:
        emit(asdict(found))
    else:
        _show(found)
    return 3 if found.best is None else 0


def _show(found: Throughput) -> None:
    click.echo(f"{'streams':>7} {'threads':>7} {'batch':>5} {'per second':>10} {'p50 ms':>9} {'p99 ms':>9}")
    for point in found.points:
        click.echo(_row(point) + ("  best" if point == found.best else ""))
    if found.best is None:
        click.echo(f"no setting has a p99 of at most {found.limit_ms:g} ms")


def _row(point: Point) -> str:
    setting = point.setting
    return (
        f"{setting.streams:>7} {setting.threads:>7} {setting.batch:>5} {point.per_second:>10.1f} "
        f"{point.p50_ms:>9.2f} {point.p99_ms:>9.2f}"
    )
