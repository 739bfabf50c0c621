"""edgetl loadgen"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import (
    FILE,
    FiniteRange,
    duration_option,
    emit,
    json_option,
    json_text,
    progress_for,
    quiet_option,
    threads_option,
    time_limit_option,
    warmup_option,
)

if TYPE_CHECKING:
    from edgetl.bench.loadgen import LoadGenResult


@click.command("loadgen", cls=Command)
@click.argument("bundle", type=FILE)
@click.option(
    "--scenario",
    type=click.Choice(("single-stream", "multi-stream", "server", "offline")),
    required=True,
    help="One query after another; the same with 8 examples each; queries at random moments; all examples at once.",
)
@click.option(
    "--target-qps",
    type=FiniteRange(0.001, 10_000_000),
    metavar="N",
    help="server: queries a second. offline: samples a second to expect, by default measured.",
)
@click.option(
    "--latency-ms",
    type=FiniteRange(0.001, 1_000_000),
    metavar="MS",
    help="server: 99 of 100 queries must be answered within it.",
)
@duration_option("At least so long; MLPerf asks for 600.", 10)
@click.option("--queries", type=click.IntRange(1), metavar="N", help="At least so many; offline: samples.")
@warmup_option()
@click.option("--data", type=FILE, help="Labeled examples to draw from.  [default: those in the bundle]")
@threads_option
@click.option(
    "--streams",
    type=click.IntRange(1, 1024),
    default=1,
    show_default=True,
    help="server, offline: engines at the same time.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 1024),
    default=1,
    show_default=True,
    help="multi-stream, offline: examples of one inference.",
)
@click.option("--log-dir", type=FILE, help="For LoadGen's logs and result.json.  [default: loadgen-BUNDLE-SCENARIO]")
@time_limit_option
@quiet_option
@json_option
def command(
    bundle: Path,
    scenario: Any,
    target_qps: float | None,
    latency_ms: float | None,
    duration_s: float,
    queries: int | None,
    warmup: int | None,
    data: Path | None,
    threads: int,
    streams: int,
    batch: int,
    log_dir: Path | None,
    time_limit_s: float,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run one of MLPerf's scenarios on BUNDLE, driven by MLPerf LoadGen (pip install 'edgetl[loadgen]').

    LoadGen says whether the run is VALID; its logs are kept. Exit code 3 if it is INVALID, as when the bound of
    server is missed. This is no official MLPerf submission.

    \b
      edgetl loadgen BUNDLE --scenario single-stream
      edgetl loadgen BUNDLE --scenario server --target-qps 50 --latency-ms 20
      edgetl loadgen BUNDLE --scenario offline --streams 2 --batch 8
    """
    from edgetl.backends.fresh_process import Limits
    from edgetl.bench.loadgen import RESULT, Wanted, run_loadgen
    from edgetl.cli.result_files import write_files

    wanted = Wanted(scenario, duration_s, queries, target_qps, latency_ms, threads, streams, batch, warmup)
    place = log_dir or Path(f"loadgen-{bundle.resolve().name}-{scenario}")
    found = run_loadgen(bundle, wanted, place, data, Limits(time_limit_s, "--time-limit"), progress_for(quiet))
    write_files({place / RESULT: json_text(asdict(found)) + "\n"})
    for warning in found.warnings:
        click.echo(f"edgetl: {warning}", err=True)
    if as_json:
        emit(asdict(found))
    else:
        _show(found)
    return 0 if found.result == "VALID" else 3


def _show(found: LoadGenResult) -> None:
    wanted = found.wanted
    click.echo(f"{wanted.scenario}: {found.result}")
    for reason in found.reasons:
        click.echo(f"  {reason}")
    estimate = "" if found.estimate_ms is None else f" (early stopping estimate {found.estimate_ms:.3f} ms)"
    click.echo(f"{found.figure}: {found.value:.4g} {found.unit}{estimate}")
    each = "" if found.samples_per_query == 1 else f" of {found.samples_per_query} samples"
    click.echo(f"queries: {found.queries}{each}, drawn from {found.examples} examples")
    if found.latency_ms:
        click.echo("latency ms: " + ", ".join(f"p{float(q):g} {value:.3f}" for q, value in found.latency_ms.items()))
    click.echo(f"logs of LoadGen {found.loadgen_version}: {found.log_dir}")
    rules = "; ".join(f"{rule.setting} {rule.here:g} (rule: {rule.rule:g})" for rule in found.differs)
    click.echo(f"no official MLPerf submission: own network and examples{'; ' + rules if rules else ''}")
