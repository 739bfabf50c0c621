"""edgetl blame"""

from __future__ import annotations

from typing import Any

import click

from edgetl.cli.chain import run_chain
from edgetl.cli.command_help import Command
from edgetl.cli.options import RecipeOptions, emit, progress_for, recipe_options


@click.command("blame", cls=Command)
@recipe_options
@click.option(
    "--target",
    "target_name",
    help="Target whose INT8 network is analyzed.  [default: the recipe's first with an INT8 build]",
)
@click.option(
    "--top",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Number of layers whose accuracy (and latency) is measured.",
)
@click.option(
    "--images",
    type=click.IntRange(1, 4096),
    default=64,
    show_default=True,
    help="Shots for the errors of every layer, at most.",
)
@click.option("--latency", is_flag=True, help="Also time the builds with each of the --top layers in float.")
def command(options: RecipeOptions, target_name: str | None, top: int, images: int, latency: bool) -> int:
    """Rank the layers of RECIPE's INT8 network by the accuracy they lose: quantization sensitivity per layer.

    Each layer is computed once alone in float and once alone in INT8. Finished stages and measurements are kept: a
    stopped run resumes.

    \b
      edgetl blame recipe.yaml
      edgetl blame recipe.yaml --target intel-cpu --top 3 --latency
    """
    from edgetl.diagnose.blame.rank import Build, Request, blame, choose_target, page_path
    from edgetl.diagnose.blame.table import show_blame

    job = options.job()
    target = choose_target(job.recipe, job.targets, target_name, options.targets_dirs)

    def show(outcome: Any) -> None:
        pivot = next(result.folder for result in outcome.results if result.stage == "export")
        build = Build(outcome.out, job, pivot, outcome.split)
        found = blame(build, target, Request(images, top, latency), progress_for(options.quiet))
        if options.as_json:
            emit(found.to_json())
        else:
            show_blame(found)
            click.echo(f"page: {page_path(outcome.out, found)}")

    return run_chain(job, "export", quiet=options.quiet, as_json=False, show=show)
