"""edgetl forecast"""

from __future__ import annotations

from dataclasses import asdict
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
    help="Calibration images to look at the layers on, and validation images to measure the cost on, at most.",
)
def command(options: RecipeOptions, count: int) -> int:
    """Predict what INT8 saturation costs the networks of RECIPE on an x86 CPU without VNNI, without such a CPU.

    There, integer kernels add products in pairs that are clipped to 16 bits. Per layer: how often that happens and
    what it changes; for the network: what it costs, and which layers need 7-bit weights.
    """
    from edgetl.recipes.job import schemes_of

    job = options.job()
    schemes = [name for name, scheme in schemes_of(job).items() if scheme.activation_dtype == "uint8"]
    _require(schemes, options.recipe)

    def show(outcome: Any) -> None:
        from edgetl.diagnose.forecast.examine import examine

        pivot = next(result.folder for result in outcome.results if result.stage == "export")
        found = examine(pivot, outcome.split, schemes, count, progress_for(options.quiet))
        if options.as_json:
            emit({"models": [asdict(model) | {"targets": _targets(model.scheme_id, job)} for model in found]})
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
        click.echo(f"targets with these numbers: {', '.join(_targets(model.scheme_id, job))}")


def _targets(scheme: str, job: Any) -> list[str]:
    from edgetl.recipes.targets import scheme_id

    return [target.name for target in job.targets if scheme_id(target.scheme) == scheme]
