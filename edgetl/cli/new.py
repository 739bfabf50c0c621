"""edgetl new"""

from __future__ import annotations

from pathlib import Path

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, emit, json_option


@click.command("new", cls=Command)
@click.argument("folder", type=FILE)
@click.option("-o", "--output", type=FILE, default=Path("recipe.yaml"), show_default=True, help="Recipe to write.")
@click.option("--name", help="Name of the bundles.  [default: the folder's name]")
@click.option("--force", is_flag=True, help="Replace an existing recipe.")
@json_option
def command(folder: Path, output: Path, name: str | None, force: bool, as_json: bool) -> None:
    """Inspect FOLDER (one sub-folder per class, or train/ and val/), or a CSV list, and write a commented recipe that
    suits it. Labeled objects (COCO, YOLO, Pascal VOC, CSV) get a recipe for detection; clips of sound, texts
    and windows of sensor channels one for their front."""
    from edgetl.bench.machine import saturates
    from edgetl.errors import UsageError
    from edgetl.explore.propose_recipe import proposed
    from edgetl.files.durable import write_text
    from edgetl.files.text import escaped
    from edgetl.recipes.targets import load_target
    from edgetl.store.results import disk_errors

    suggestion = proposed(folder)
    if output.exists() and not output.is_file():
        raise UsageError(
            f"{output}: not a file; name the recipe to write with -o, for example {output / 'recipe.yaml'}"
        )
    if output.exists() and not force:
        raise UsageError(f"{output}: already exists; choose another name with -o, or replace it with --force")
    vnni = not saturates(load_target("x86-cpu"))
    text = suggestion.text(output.resolve().parent, name, vnni)
    with disk_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        write_text(output, text)
    for note in suggestion.notes:
        click.echo(f"edgetl: note: {escaped(note)}", err=True)
    if as_json:
        emit({"recipe": str(output), "notes": list(suggestion.notes)})
    else:
        click.echo(f"wrote {output}; review it, then run: edgetl build {output}")
