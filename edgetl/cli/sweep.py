"""edgetl sweep"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgetl.cli.chain import quieten_torch
from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, FiniteRange, RecipeOptions, emit, progress_for, recipe_options
from edgetl.cli.result_files import refuse_unwritable, write_files

if TYPE_CHECKING:
    from edgetl.sweep.pool import Pool
    from edgetl.sweep.run import Outcome, Request

JSON_FILE, PAGE_FILE = "sweep.json", "sweep.html"


@click.command("sweep", cls=Command)
@recipe_options
@click.option("--space", "space_file", type=FILE, required=True, help="YAML file: recipe keys with values or ranges.")
@click.option("--trials", type=click.IntRange(1, 10_000), default=24, show_default=True, help="Builds in all.")
@click.option(
    "--sampler",
    type=click.Choice(["auto", "grid", "random", "nsga2", "tpe"]),
    default="auto",
    show_default=True,
    help="How trials are chosen. auto: the whole grid if it fits --trials, else tpe.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the sampler.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Builds side by side.  [default: usable cores, at most 4]")
@click.option("--ray", "address", metavar="ADDRESS", help="Run on this Ray cluster: HOST:PORT, or auto.")
@click.option(
    "--resolution",
    type=FiniteRange(0, 100),
    default=5,
    show_default=True,
    metavar="PERCENT",
    help="Latencies count as different only if their intervals, this much wider at both ends, do not overlap.",
)
@click.option("--retry-failed", is_flag=True, help="Run trials that failed before again.")
@click.option("-n", "--dry-run", is_flag=True, help="List the trials and what they share; run nothing.")
@click.option("--csv", "csv_file", type=FILE, metavar="FILE", help="Also write a table, one row per trial.")
@click.option(
    "--write-recipe",
    "written",
    type=(int, FILE),
    metavar="TRIAL FILE",
    help="Only write the recipe of a trial, beside RECIPE.",
)
def command(
    options: RecipeOptions,
    space_file: Path,
    trials: int,
    sampler: str,
    seed: int,
    jobs: int | None,
    address: str | None,
    resolution: float,
    retry_failed: bool,
    dry_run: bool,
    csv_file: Path | None,
    written: tuple[int, Path] | None,
) -> int:
    """Build RECIPE with many settings; show which are best in accuracy, latency and size.

    Each trial is a build in one folder: trials share stages. Builds run side by side; latency is measured one
    trial after another while nothing is built. Stopped or killed, the same command continues. Exit code 1 if all
    trials failed, 3 if none passes the gates.

    \b
      edgetl sweep recipe.yaml --space space.yaml --dry-run
      edgetl sweep recipe.yaml --space space.yaml --trials 48 --jobs 4
      edgetl sweep recipe.yaml --space space.yaml --write-recipe 7 best.yaml
    """
    from edgetl.sweep.show import planned, show_plan
    from edgetl.sweep.table import document, show_sweep

    refuse_unwritable(csv_file)
    if address is not None and jobs is not None:
        raise click.UsageError("--jobs is for this machine; with --ray there is one build per CPU of the cluster")
    request = _request(options, space_file, trials, sampler, seed, resolution / 100)
    if written is not None:
        return _write_recipe(request, options.recipe, *written)
    if dry_run:
        plan = planned(request)
        emit(plan) if options.as_json else show_plan(plan)
        return 0
    outcome = _run(request, options, lambda folder: _pool(folder, jobs, address), retry_failed)
    if csv_file is not None:
        _write_csv(outcome, csv_file)
    if options.as_json:
        emit(document(outcome) | {"out": str(request.out)})
        return outcome.exit_code
    if not outcome.ran:
        click.echo("nothing to do: every trial was already done", err=True)
    show_sweep(outcome)
    click.echo(f"trials: {request.out / request.folder / 'trials'}")
    click.echo(f"page:   {request.out / PAGE_FILE}")
    return outcome.exit_code


def _request(
    options: RecipeOptions, space_file: Path, trials: int, sampler: str, seed: int, resolution: float
) -> Request:
    """Read recipe and space. Raises UsageError."""
    from edgetl.errors import UsageError
    from edgetl.recipes.recipe_file import parse_recipe, read_raw
    from edgetl.sweep.plan import choose_sampler
    from edgetl.sweep.run import Request
    from edgetl.sweep.space import read_space

    allowed = ("check.allow_leak=true",) if options.allow_leak else ()
    given = (*options.overrides, *allowed)
    raw = read_raw(options.recipe, given)
    recipe = parse_recipe(raw, where=str(options.recipe), overrides=given)
    space = read_space(space_file, raw, options.targets_dirs)
    chosen: Any = choose_sampler(space, trials) if sampler == "auto" else sampler
    if chosen == "grid" and not space.is_finite:
        raise UsageError(f"{space_file}: --sampler grid needs lists of values; found a range")
    base = options.recipe.resolve().parent
    return Request(
        raw=raw,
        base=base,
        out=(options.out or base / f"{recipe.name}-sweep").resolve(),
        space=space,
        sampler=chosen,
        trials=trials,
        seed=seed,
        resolution=resolution,
        weights_dirs=tuple(folder.resolve() for folder in options.weights_dirs),
        targets_dirs=tuple(folder.resolve() for folder in options.targets_dirs),
        calibration_dirs=tuple(folder.resolve() for folder in options.calibration_dirs),
    )


def _run(
    request: Request,
    options: RecipeOptions,
    open_pool: Callable[[Path], AbstractContextManager[Pool]],
    retry_failed: bool,
) -> Outcome:
    from edgetl.stages.keys import require_training_tools
    from edgetl.sweep.run import run_sweep

    if "network" not in request.raw:
        require_training_tools()
    quieten_torch()
    return run_sweep(
        request,
        open_pool,
        progress_for(options.quiet),
        retry_failed=retry_failed,
        publish=_publish,
    )


def _pool(folder: Path, jobs: int | None, address: str | None) -> AbstractContextManager[Pool]:
    if address is not None:
        from edgetl.sweep.on_ray import RayPool

        return RayPool(address)
    from edgetl.bench.machine import describe
    from edgetl.sweep.pool import Processes

    usable = int(describe().usable_cores or 1)
    return Processes(jobs or max(1, min(usable, 4)), folder / "workers.log")


def _publish(outcome: Outcome) -> None:
    from edgetl.sweep.page import render_page
    from edgetl.sweep.table import document

    text = json.dumps(document(outcome), indent=1, ensure_ascii=False) + "\n"
    out = outcome.request.out
    write_files({out / JSON_FILE: text, out / PAGE_FILE: render_page(outcome)})


def _write_csv(outcome: Outcome, file: Path) -> None:
    from edgetl.bench.ci_files import csv_text
    from edgetl.sweep.table import csv_rows

    write_files({file: csv_text(csv_rows(outcome))})


def _write_recipe(request: Request, recipe: Path, number: int, file: Path) -> int:
    """Its paths are relative to the recipe's folder, so it must lie there."""
    from edgetl.errors import UsageError
    from edgetl.sweep.run import recipe_of

    if file.resolve().parent != recipe.resolve().parent:
        raise UsageError(f"{file}: a recipe's paths are relative to its folder; write it beside {recipe}")
    if file.exists():
        raise UsageError(f"{file}: exists already; choose another name")
    write_files({file: recipe_of(request, number)})
    click.echo(f"next: edgetl build {file}", err=True)
    return 0
