"""edgetl language"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import (
    FILE,
    FiniteRange,
    emit,
    json_option,
    progress_for,
    quiet_option,
    targets_dir_option,
    threads_option,
)

if TYPE_CHECKING:
    from edgetl.language.bundle import LanguageManifest


@click.command("language", cls=Command)
@click.argument("folder", type=FILE)
@click.argument("texts", type=FILE, nargs=-1, required=True, metavar="TEXTS...")
@click.option(
    "--target", "targets", multiple=True, default=("x86-cpu",), show_default=True, metavar="NAME", help="Repeatable."
)
@targets_dir_option
@click.option(
    "--max-rise",
    type=FiniteRange(0, 1000),
    default=2.0,
    show_default=True,
    metavar="PERCENT",
    help="Perplexity that INT8 may cost; float ships if it costs more.",
)
@click.option("--column", metavar="NAME", help="Column of the texts in tables.  [default: the usual one]")
@click.option("--name", help="Beginning of the bundles' names.  [default: <folder's name>]")
@click.option("--out", type=FILE, help="Output folder.  [default: <folder's name>-language]")
@threads_option
@quiet_option
@json_option
def command(
    folder: Path,
    texts: tuple[Path, ...],
    targets: tuple[str, ...],
    targets_dirs: tuple[Path, ...],
    max_rise: float,
    column: str | None,
    name: str | None,
    out: Path | None,
    threads: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Build bundles of the language model in FOLDER, proven on TEXTS that it was not trained on.

    FOLDER is a decoder in Hugging Face layout (GPT-2 or Llama). TEXTS are .txt files, tables, or folders of them. They
    measure the perplexity of the torch network, of ONNX and of INT8; the faster one within --max-rise ships.

    \b
      edgetl language models/gpt2 heldout.csv --target x86-cpu --target arm64-cpu
      edgetl generate gpt2-language/bundles/gpt2-x86-cpu --prompt "Once upon"
    """
    from edgetl.cli.next_step import near, say_next
    from edgetl.recipes.targets import load_target
    from edgetl.stages.language import BUNDLES, Request, build

    own = folder.resolve().name
    place = out or Path(f"{own}-language")
    request = Request(
        folder=folder,
        name=_checked(name or own),
        texts=_read(texts, column),
        targets=tuple(load_target(each, targets_dirs, "text") for each in dict.fromkeys(targets)),
        out=place,
        max_rise_percent=max_rise,
        threads=threads,
    )
    made = build(request, progress_for(quiet))
    if as_json:
        emit({"out": str(place), "bundles": [each.model_dump(mode="json", by_alias=True) for each in made]})
        return
    for manifest in made:
        _show(manifest, place / BUNDLES / manifest.name)
    say_next("generate", near(place / BUNDLES / made[0].name), "--prompt", "TEXT")


def _checked(name: str) -> str:
    import re

    from edgetl.files.json_file import NAME

    if not re.fullmatch(NAME, name) or len(name) > 100:
        raise click.BadParameter("expected letters, digits, `.`, `-` and `_`, at most 100", param_hint="--name")
    return name


def _read(named: tuple[Path, ...], column: str | None) -> tuple[str, ...]:
    from edgetl.data.gather import gather
    from edgetl.errors import DataError
    from edgetl.fronts.text.read import read_example

    gathered = gather(named, "text", column)
    if gathered.problems:
        raise DataError(gathered.problems[0])
    return tuple(read_example(path) for path in gathered.paths)


def _show(manifest: LanguageManifest, place: Path) -> None:
    from edgetl.files.text import decimal

    measured, size = manifest.measured, manifest.files[manifest.compiled.model].size_bytes
    rise = measured.rise_percent
    interval = f"{decimal(rise.value, 2)} % [{decimal(rise.low, 2)}, {decimal(rise.high, 2)}]"
    click.echo(f"{manifest.target.name}: {manifest.compiled.precision}, {size / 1e6:.1f} MB  {place}")
    click.echo(f"  {manifest.reason}")
    click.echo(
        f"  perplexity {measured.perplexity:.3f} on {measured.tokens} tokens of {measured.texts} texts, "
        f"{interval} above torch"
    )
    if measured.ms_per_token is not None:
        click.echo(
            f"  {measured.ms_per_token:.3g} ms a token, {measured.first_token_ms:.3g} ms to the first one after "
            f"{measured.prompt_tokens} ({measured.threads} threads, {measured.cpu})"
        )
