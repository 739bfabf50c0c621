"""edgetl bench"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from edgetl.cli.chain import run_chain, show_folders
from edgetl.cli.command_help import Command
from edgetl.cli.options import (
    FILE,
    RecipeOptions,
    emit,
    given,
    progress_for,
    recipe_options,
    threads_option,
    time_limit_option,
)

_OF_BUNDLES = {
    "threads": "; with a recipe: --set bench.threads={}",
    "runs": "; with a recipe: --set bench.runs={}",
    "warmup": "; with a recipe: --set bench.warmup={}",
    "data": "; a recipe is measured on its `data.val`, or on what the draw of shots leaves",
    "cold_starts": "",
    "time_limit_s": "",
}
"""Options that go with bundles, and what says the same of a recipe."""
_OF_RECIPES = ("overrides", "out", "weights_dirs", "targets_dirs", "calibration_dirs", "allow_leak")


@click.command("bench", cls=Command)
@recipe_options
@click.argument("bundles", type=FILE, nargs=-1)
@click.option(
    "--data",
    type=FILE,
    help="With bundles: labelled images (one sub-folder per class) to measure top-1 on, none that the recipe has seen.",
)
@click.option("--runs", type=click.IntRange(300), default=300, show_default=True, help="With bundles: timed runs each.")
@click.option("--warmup", type=click.IntRange(1), default=30, show_default=True, help="With bundles: untimed runs.")
@click.option(
    "--cold-starts",
    type=click.IntRange(0, 100),
    default=3,
    show_default=True,
    help="With bundles: fresh processes each that open it and infer once.",
)
@threads_option
@time_limit_option
def command(
    options: RecipeOptions,
    bundles: tuple[Path, ...],
    data: Path | None,
    runs: int,
    warmup: int,
    cold_starts: int,
    threads: int,
    time_limit_s: float,
) -> int:
    """Measure the builds of RECIPE; or finished bundles on this machine, which needs no torch.

    Accuracy on images the recipe has already used is optimistic: pass unseen images with --data.

    \b
      edgetl bench recipe.yaml
      edgetl bench bundles/steel-x86-cpu --data photos-test
      edgetl bench bundles/steel-x86-cpu bundles/steel-intel-cpu    # interleaved
    """
    if not options.recipe.is_dir():
        _refuse_mixed(options.recipe, bundles)
        _refuse_options_of_bundles(options.recipe)
        return run_chain(options.job(), "bench", quiet=options.quiet, as_json=options.as_json, show=show_folders)
    _refuse_options_of_recipes(options.recipe)
    from edgetl.bench.isolated import Limits
    from edgetl.measure import measure

    measured = measure(
        (options.recipe, *bundles),
        data,
        runs=runs,
        warmup=warmup,
        threads=threads,
        seed=0,
        cold_starts=cold_starts,
        progress=progress_for(options.quiet),
        limits=Limits(time_limit_s, "--time-limit"),
    )
    if options.as_json:
        emit(asdict(measured))
    else:
        for bundle in measured.bundles:
            click.echo(_line(bundle))
    return 0


def _refuse_mixed(recipe: Path, bundles: tuple[Path, ...]) -> None:
    if bundles:
        from edgetl.errors import UsageError

        raise UsageError(f"{recipe} is no bundle folder; give either one recipe or bundle folders")


def _refuse_options_of_bundles(recipe: Path) -> None:
    for name, option in given(tuple(_OF_BUNDLES)).items():
        instead = _OF_BUNDLES[name].format(click.get_current_context().params[name])
        raise click.UsageError(f"{option} goes with bundle folders, and {recipe} is none{instead}")


def _refuse_options_of_recipes(bundle: Path) -> None:
    for option in given(_OF_RECIPES).values():
        raise click.UsageError(f"{option} goes with a recipe, and {bundle} is a folder")


def _line(bundle: Any) -> str:
    parts = [f"{bundle.bundle}: {bundle.backend} {bundle.backend_version}, runs in {bundle.placement}"]
    parts += [
        f"{name} {value.value:.3f} ms ({value.low:.3f} to {value.high:.3f})" for name, value in _quantiles(bundle)
    ]
    if bundle.cold_start_ms is not None:
        parts.append(f"cold start {bundle.cold_start_ms:.0f} ms, {bundle.peak_rss_bytes / 1e6:.0f} MB")
    if bundle.top1:
        top1 = bundle.top1
        parts.append(f"top-1 {100 * top1.value:.1f} % ({100 * top1.low:.1f} to {100 * top1.high:.1f})")
    if bundle.ratio:
        parts.append(f"{bundle.ratio.value:.2f}x the speed of the first")
    return "; ".join(parts)


def _quantiles(bundle: Any) -> list[tuple[str, Any]]:
    named = (("p50", bundle.p50_ms), ("p90", bundle.p90_ms), ("p99", bundle.p99_ms))
    return [(name, value) for name, value in named if value is not None]
