"""edgetl clean"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, emit, json_option


@click.command("clean", cls=Command)
@click.argument("out", type=FILE)
@click.option(
    "--cache", is_flag=True, help="Also remove cached features, trials and ranges, which make repeating a stage fast."
)
@click.option("-n", "--dry-run", is_flag=True, help="Remove nothing, only list it.")
@json_option
def command(out: Path, cache: bool, dry_run: bool, as_json: bool) -> None:
    """Remove stage results in the output folder OUT that no command's latest run uses.

    Bundles, pivot and reports stay, and a finished build stays finished. A removed result is computed again if you go
    back to its settings. Temporary folders of killed runs are removed too.
    """
    from edgetl.report.words import size
    from edgetl.store.clean import clean

    found = clean(out, cache=cache, dry_run=dry_run)
    if as_json:
        emit(asdict(found) | {"freed_bytes": found.freed_bytes, "dry_run": dry_run})
        return
    for each in found.removed:
        click.echo(f"{size(each.size_bytes):>8}  {each.name}")
    verb = "would be removed" if dry_run else "removed"
    click.echo(f"{len(found.removed)} {verb}, {size(found.freed_bytes)}; {found.kept} kept, {size(found.kept_bytes)}")
    if found.cache_bytes:
        click.echo(f"cache: {size(found.cache_bytes)} kept; --cache removes it")
