"""edgetl pretrain"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, FiniteRange, emit, json_option, progress_for, quiet_option

if TYPE_CHECKING:
    from edgetl.adapt.pretrain.pretrain import Outcome

_NAMED = 5


@click.command("pretrain", cls=Command)
@click.argument("path", type=FILE)
@click.option("--backbone", required=True, help="text_lstm or text_gru; resnet_1d, gru or lstm.")
@click.option("--out", type=FILE, required=True, help="Folder of the weights.")
@click.option("--column", help="Column of the texts in a table.  [default: the usual one]")
@click.option("--epochs", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Epochs at most.")
@click.option(
    "--minutes",
    type=FiniteRange(0, min_open=True),
    help="Begin no epoch that would end later. How far it gets then depends on the machine.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all random draws.")
@quiet_option
@json_option
def command(
    path: Path,
    backbone: str,
    out: Path,
    column: str | None,
    epochs: int,
    minutes: float | None,
    seed: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train a small network on the texts or windows of PATH, which need no labels.

    A tenth is held out and decides when to stop. Name the folder of --out as `backbone.weights` of a recipe. Weights
    that predict held-out examples no better than token frequencies, or a channel's mean, are not written.

    \b
      edgetl pretrain tickets.csv --backbone text_lstm --out tickets-lm
      edgetl pretrain recordings.npz --backbone resnet_1d --out recordings-net
    """
    from edgetl.adapt.pretrain.pretrain import Request, pretrain
    from edgetl.adapt.pretrain.train import Limits

    request = Request(path, backbone, out, Limits(epochs, minutes, seed), column)
    outcome = pretrain(request, progress_for(quiet))
    if as_json:
        examples = outcome.examples
        skipped = [{"path": each.path, "reason": each.reason} for each in examples.skipped]
        read = {"copies": examples.copies, "other_parts": examples.other_parts, "skipped": skipped}
        emit({"out": str(out), **outcome.document, **read})
    else:
        _show(outcome, out)


def _show(outcome: Outcome, out: Path) -> None:
    found, examples = outcome.document, outcome.examples
    for each in examples.skipped[:_NAMED]:
        click.echo(f"skipped {each.path}: {each.reason}")
    if len(examples.skipped) > _NAMED:
        click.echo(f"skipped {len(examples.skipped) - _NAMED} more; --json lists them")
    if examples.copies or examples.other_parts:
        click.echo(f"left out {examples.copies} copies and {examples.other_parts} of validation or test")
    click.echo(f"{found['training']} trained on, {found['held_out']} held out, best of {len(found['epochs'])} epochs: "
               f"{found['best_epoch']}")  # fmt: skip
    click.echo(f"{found['measure']} on held-out examples: {found['reached']:.4g}; trivial: {found['trivial']:.4g}")
    click.echo(f"backbone: {{name: {found['backbone']}, weights: {out}}}")
