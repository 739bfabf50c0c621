"""edgetl check"""

from typing import Any

import click

from edgetl.cli.chain import chain_command


def _show(outcome: Any) -> None:
    split = outcome.split
    click.echo(f"{len(split.classes)} classes: {', '.join(split.classes)}")
    click.echo(f"{len(split.shots)} images to learn from, {len(split.val)} to measure on")
    click.echo(f"resize: {split.resize}: {split.resize_reason}")
    for skipped in split.skipped:
        click.echo(f"skipped {skipped.path}: {skipped.reason}")


command = chain_command(
    "check", "data", "Read every image RECIPE names, draw the few-shot split, name what cannot be used.", _show
)
