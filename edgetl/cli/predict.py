"""edgetl predict"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, emit, json_option, threads_option


@click.command("predict", cls=Command)
@click.argument("bundle", type=FILE)
@click.argument("images", type=FILE, nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="Classes to show per image.")
@threads_option
@json_option
def command(bundle: Path, images: tuple[Path, ...], top: int, threads: int, as_json: bool) -> None:
    """Classify IMAGES with BUNDLE on the bundle's own runtime."""
    from edgetl.inference import predict
    from edgetl.text import escaped

    results = predict(bundle, images, top=top, threads=threads)
    if as_json:
        emit([asdict(result) for result in results])
        return
    for result in results:
        shares = zip(result.labels, result.probabilities, strict=True)
        click.echo(f"{escaped(result.path)}: " + ", ".join(f"{label} {100 * share:.1f} %" for label, share in shares))
