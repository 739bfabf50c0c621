"""edgetl forecast"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgetl.cli.chain import run_chain
from edgetl.cli.command_help import Command
from edgetl.cli.options import RecipeOptions, emit, progress_for, recipe_options


@click.command("forecast", cls=Command)
@recipe_options
@click.option(
    "--images",
    "count",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Shots for the layers, and validation examples for the accuracy, at most.",
)
def command(options: RecipeOptions, count: int) -> int:
    """Predict how INT8 saturation affects RECIPE's networks on x86 CPUs without VNNI. Needs no such CPU.

    On these CPUs INT8 kernels add products in pairs and clip the sums to 16 bits. The saturation simulation reports
    per layer how often that happens and what it changes, and for the network the accuracy lost.
    """
    from edgetl.recipes.job import schemes_of

    job = options.job()
    schemes = [name for name, scheme in schemes_of(job).items() if scheme.activation_dtype != "int8"]
    _require(schemes, options.recipe)

    def show(outcome: Any) -> None:
        from edgetl.diagnose.forecast.models import examine

        pivot = next(result.folder for result in outcome.results if result.stage == "export")
        found = examine(pivot, outcome.split, schemes, count, progress_for(options.quiet))
        if options.as_json:
            emit({"models": [model.to_json() | {"targets": _targets(model.scheme_id, job)} for model in found]})
        else:
            _show(found, job)

    return run_chain(job, "export", quiet=options.quiet, as_json=False, show=show)


def _require(schemes: list[str], recipe: Path) -> None:
    if not schemes:
        from edgetl.errors import UsageError

        raise UsageError(
            f"{recipe}: no int8 build for a target with uint8 activations; only those saturate: add the target x86-cpu"
        )


def _show(found: Any, job: Any) -> None:
    from edgetl.diagnose.forecast.show import show_examined

    for model in found:
        show_examined(model)
        click.echo(f"targets with this number scheme: {', '.join(_targets(model.scheme_id, job))}")


def _targets(scheme: str, job: Any) -> list[str]:
    from edgetl.recipes.targets import scheme_id

    return [target.name for target in job.targets if scheme_id(target.scheme) == scheme]
