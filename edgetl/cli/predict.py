"""edgetl predict"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, FiniteRange, json_option, progress_for, quiet_option, threads_option

if TYPE_CHECKING:
    from edgetl.bundle.manifest import Manifest


_TOP = 3


class _Work(Protocol):
    """What is done with the images, and where the results go."""

    def results(self, images: Sequence[Path], threads: int) -> Iterator[Any]: ...

    def show(self, result: Any) -> None: ...

    def end(self) -> None: ...


@dataclass(frozen=True)
class _Form:
    as_csv: bool
    as_json: bool


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
@click.argument("images", type=FILE, nargs=-1, metavar="FILES...")
@click.option("--top", type=click.IntRange(1), show_default=str(_TOP), help="Classes to show per file.")
@click.option(
    "--threshold",
    type=FiniteRange(0, 1),
    show_default="0; a detector's own",
    help="Report a file as `unsure` if its most likely class has a lower probability; leave out objects with a lower "
    "score.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print a CSV table, one row per file, or per object.")
@click.option(
    "--sort-into",
    type=FILE,
    metavar="DIR",
    help="Copy each file into DIR/CLASS or DIR/unsure; nothing is overwritten.",
)
@click.option("--draw", type=FILE, metavar="DIR", help="Write each image with its objects into the new folder DIR.")
@click.option("--text", "texts", multiple=True, metavar="TEXT", help="Classify this text; may be given several times.")
@click.option("--column", metavar="NAME", help="Column of the texts in tables.  [default: the usual one]")
@threads_option
@quiet_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    bundle: Path,
    images: tuple[Path, ...],
    top: int | None,
    threshold: float | None,
    as_csv: bool,
    sort_into: Path | None,
    draw: Path | None,
    texts: tuple[str, ...],
    column: str | None,
    threads: int,
    quiet: bool,
    as_json: bool,
) -> int:
    """Classify FILES, images, clips of sound or texts as BUNDLE takes them, or find the objects in images, on the
    bundle's own runtime.

    FILES are files, folders (all examples in them), patterns in quotes ("new/*.jpg"), and lists (.csv with a column
    `path`, .txt with one path per line); for texts also tables (.csv, .tsv, .jsonl: every row), .txt files, and `-` for
    the lines of stdin. Results appear as they are computed. What cannot be used is named on stderr, the others are
    still classified, and the exit code is 1.

    \b
      edgetl predict bundles/parts-x86-cpu new/ --csv > predictions.csv
      edgetl predict bundles/parts-x86-cpu new/ --threshold 0.8 --sort-into sorted
      edgetl predict bundles/cells-x86-cpu new/ --draw found
      edgetl predict bundles/words-x86-cpu recordings/ --csv > words.csv
      edgetl predict bundles/reviews-x86-cpu reviews.csv --text "what a film"
    """
    from edgetl.bundle.read import read_bundle
    from edgetl.cli.given_texts import STDIN, as_rows, refuse_texts
    from edgetl.data.gather import gather
    from edgetl.fronts.base import load_front

    if not images and not texts:
        raise click.MissingParameter(ctx=ctx, param_hint="'FILES...'", param_type="argument")
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other; choose one")
    manifest = read_bundle(bundle).manifest
    detector = manifest.task == "detection"
    _refuse_misplaced(bundle, {"--top": top, "--sort-into": sort_into} if detector else {"--draw": draw}, detector)
    refuse_texts(manifest.front, bundle, {"--text": texts, "--column": column, "-": STDIN in images})
    gathered = gather([path for path in images if path != STDIN], manifest.front, column)
    for problem in gathered.problems:
        click.echo(f"edgetl: {problem}", err=True)
    form = _Form(as_csv, as_json)
    with as_rows(texts, STDIN in images) as given:
        paths = [*map(Path, given), *gathered.paths]
        if detector:
            work: _Work = _find_objects(bundle, manifest, threshold, draw, form)
        else:
            work = _classify(bundle, manifest, top or _TOP, threshold or 0.0, sort_into, paths, form)
        noun = load_front(manifest.front).noun
        unusable = _work_off(work, paths, given, threads, noun, quiet)
    failed = unusable + len(gathered.problems)
    if failed and len(paths) + len(gathered.problems) > 1:
        done = "searched" if detector else "classified"
        click.echo(f"edgetl: {len(paths) - unusable} {noun}s {done}; {failed} could not be used", err=True)
    return 1 if failed else 0


def _work_off(work: _Work, paths: list[Path], names: Mapping[str, str], threads: int, noun: str, quiet: bool) -> int:
    """Shows the result of each; returns how many could not be used.

    names  that are shown in place of some paths
    """
    from edgetl.cli.given_texts import with_names

    unusable = 0
    # on a terminal the lines themselves show the progress
    with progress_for(quiet or sys.stdout.isatty()).task(f"{noun}s", total=len(paths)) as advance:
        for result in work.results(paths, threads):
            unusable += bool(result.error)
            work.show(with_names(result, names) if names else result)
            advance(1)
    work.end()
    return unusable


def _refuse_misplaced(bundle: Path, given: Mapping[str, object], detector: bool) -> None:
    """Options of the other task would be ignored."""
    for option, value in given.items():
        if value is not None:
            wanted, found = ("classifiers", "detector") if detector else ("detectors", "classifier")
            raise click.UsageError(f"{option} is for {wanted}; {bundle} is a {found}")


def _classify(
    bundle: Path,
    manifest: Manifest,
    top: int,
    threshold: float,
    sort_into: Path | None,
    images: list[Path],
    form: _Form,
) -> _Work:
    from edgetl.cli.predictions import UNSURE, Classified, Document, Lines, Table
    from edgetl.cli.sort_into import sorter_of
    from edgetl.files.rows import row_of
    from edgetl.fronts.audio.piece import piece_of

    if sort_into is not None and manifest.heads:
        raise click.UsageError(f"--sort-into is for one head; {bundle} has {len(manifest.heads)}: use --csv")
    heads = tuple(head.name for head in manifest.heads)
    shown = min(top, max((len(head.classes) for head in manifest.heads), default=len(manifest.labels)))
    writer: Lines | Table | Document = Lines(threshold)
    if form.as_csv or form.as_json:
        writer = Table(threshold, shown, manifest.front == "text", heads) if form.as_csv else Document(threshold)
    if sort_into is not None and (part := next((each for each in images if row_of(each) or piece_of(each)), None)):
        whole = "a part of a recording" if piece_of(part) else "a row of a table"
        raise click.UsageError(f"--sort-into is for files; {part.name} is {whole}: use --csv")
    sorter = None if sort_into is None else sorter_of(sort_into, (*manifest.labels, UNSURE), images)
    return Classified(bundle, top, threshold, writer, sorter)


def _find_objects(bundle: Path, manifest: Manifest, threshold: float | None, draw: Path | None, form: _Form) -> _Work:
    from edgetl.cli.draw import Drawings
    from edgetl.cli.objects import Document, Lines, Searched, Table

    settings = manifest.postprocess
    assert settings is not None
    if threshold is not None:
        settings = replace(settings, score_threshold=threshold)
    writer = (Table if form.as_csv else Document if form.as_json else Lines)(manifest.labels)
    return Searched(bundle, settings, writer, Drawings(draw, manifest.labels) if draw else None)
