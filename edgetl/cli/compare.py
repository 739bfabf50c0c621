"""edgetl compare"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import (
    FILE,
    emit,
    json_option,
    progress_for,
    quiet_option,
    runs_option,
    threads_option,
    warmup_option,
)


@click.command("compare", cls=Command)
@click.argument("bundles", type=FILE, nargs=-1, required=True)
@runs_option("Timed runs of each, in every repeat.")
@warmup_option()
@click.option(
    "--repeat",
    "repeats",
    type=click.IntRange(2, 1000),
    default=5,
    show_default=True,
    help="Open and time both this many times: repeats are the sample of the intervals.",
)
@threads_option
@quiet_option
@json_option
def command(
    bundles: tuple[Path, ...], runs: int, warmup: int | None, repeats: int, threads: int, quiet: bool, as_json: bool
) -> int:
    """Time two BUNDLES in turns on this machine: ratio of their times with its 95 % interval.

    Both are timed in the same rounds, so that drift of the machine hits both. If the interval contains 1, no
    difference was seen. One folder that contains two bundles is enough.

    \b
      edgetl compare bundles/steel-x86-cpu bundles/steel-intel-cpu
      edgetl compare before/steel-x86-cpu after/steel-x86-cpu --repeat 11
    """
    from edgetl.bench.compare import compare
    from edgetl.bench.timed import Timing
    from edgetl.report.compared_table import show_compared

    found = compare(bundles, Timing(runs, warmup, threads), repeats, progress_for(quiet))
    for warning in found.measurement.warnings:
        click.echo(f"edgetl: {warning}", err=True)
    if as_json:
        emit(asdict(found))
    else:
        show_compared(found)
    return 0
