"""edgetl predict"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, FiniteRange, json_option, progress_for, quiet_option, threads_option

if TYPE_CHECKING:
    from edgetl.cli.predictions import Document, Lines, Table
    from edgetl.cli.sort_into import Sorter


class _Command(Command):
    """Explains how to pass a file whose name begins like an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            named = next((text for text in given if text.startswith(error.option_name)), "")
            if named and (Path(named).suffix or Path(named).exists()):
                raise click.UsageError(
                    f"`{named}` looks like an option; if it is a file, put -- before it", ctx
                ) from None
            raise


@click.command("predict", cls=_Command)
@click.argument("bundle", type=FILE)
@click.argument("images", type=FILE, nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="Classes to show per image.")
@click.option(
    "--threshold",
    type=FiniteRange(0, 1),
    default=0.0,
    show_default=True,
    help="Report an image as `unsure` if its most likely class has a lower probability.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print a CSV table, one row per image.")
@click.option(
    "--sort-into",
    type=FILE,
    metavar="DIR",
    help="Copy each image into DIR/CLASS or DIR/unsure; nothing is overwritten.",
)
@threads_option
@quiet_option
@json_option
def command(
    bundle: Path,
    images: tuple[Path, ...],
    top: int,
    threshold: float,
    as_csv: bool,
    sort_into: Path | None,
    threads: int,
    quiet: bool,
    as_json: bool,
) -> int:
    """Classify IMAGES with BUNDLE on the bundle's own runtime.

    IMAGES are files, folders (all images in them), patterns in quotes ("new/*.jpg"), and lists (.csv with a column
    `path`, .txt with one path per line). Results appear as they are computed. An image that cannot be used is named on
    stderr, the others are still classified, and the exit code is 1.

    \b
      edgetl predict bundles/parts-x86-cpu new/ --csv > predictions.csv
      edgetl predict bundles/parts-x86-cpu new/ --threshold 0.8 --sort-into sorted
    """
    from edgetl.bundle.inference import predict
    from edgetl.bundle.read import read_bundle
    from edgetl.data.gather import gather

    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other; choose one")
    labels = read_bundle(bundle).manifest.labels
    show = _writer(min(top, len(labels)), threshold, as_csv=as_csv, as_json=as_json)
    gathered = gather(images)
    for problem in gathered.problems:
        click.echo(f"edgetl: {problem}", err=True)
    sorter = None if sort_into is None else _sorter(sort_into, labels, gathered.paths)
    unusable = 0
    # on a terminal the lines themselves show the progress
    progress = progress_for(quiet or sys.stdout.isatty())
    with progress.task("images", total=len(gathered.paths)) as advance:
        for result in predict(bundle, gathered.paths, top=top, threads=threads):
            unusable += bool(result.error)
            if sorter is not None and not result.error:
                sorter.copy(Path(result.path), _decided(result, threshold))
            show.show(result)
            advance(1)
    show.end()
    failed = unusable + len(gathered.problems)
    if failed and len(gathered.paths) + len(gathered.problems) > 1:
        click.echo(f"edgetl: {len(gathered.paths) - unusable} images classified; {failed} could not be used", err=True)
    return 1 if failed else 0


def _writer(top: int, threshold: float, *, as_csv: bool, as_json: bool) -> Lines | Table | Document:
    from edgetl.cli.predictions import Document, Lines, Table

    return Table(threshold, top) if as_csv else Document(threshold) if as_json else Lines(threshold)


def _sorter(folder: Path, labels: tuple[str, ...], pictures: list[Path]) -> Sorter:
    from edgetl.cli.predictions import UNSURE
    from edgetl.cli.sort_into import Sorter

    sorter = Sorter(folder, dict.fromkeys((*labels, UNSURE)))
    sorter.refuse_inside(pictures)
    return sorter


def _decided(result: Any, threshold: float) -> str:
    from edgetl.cli.predictions import decided

    return decided(result, threshold)
