"""edgetl check"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgetl.cli.chain import outcome_json
from edgetl.cli.command_help import Command
from edgetl.cli.options import RecipeOptions, emit, progress_for, recipe_options

if TYPE_CHECKING:
    from edgetl.types import Progress

_NAMED = 8


@click.command("check", cls=Command)
@recipe_options
def command(options: RecipeOptions) -> int:
    """Draw the few-shot split of RECIPE and check its examples: broken files, copies and groups on both sides, near
    neighbors, wrong labels, unbalanced classes, drift; clips also for silence, clipping and length, texts for letters,
    scripts and length, windows for overlap.

    Exit code 1 if an example or a group is in both training and validation; --allow-leak lets it pass.
    """
    from edgetl.checks.model import FILE_NAME, read_checks, require_sound
    from edgetl.stages.pipeline import run

    job = options.job()
    outcome = run(job, _Unrepeated(progress_for(options.quiet)), "check")
    folder = next(result.folder for result in outcome.results if result.stage == "check")
    checks = read_checks(folder / FILE_NAME)
    sheet = None if checks.contact_sheet is None else folder / checks.contact_sheet
    if options.as_json:
        found = checks.model_dump(mode="json", by_alias=True) | {"contact_sheet": sheet and str(sheet)}
        passed = checks.verdict != "refuse" or job.recipe.check.allow_leak  # consistent with the exit code
        emit(outcome_json(outcome) | {"checks": found, "verdict": checks.verdict, "passed": passed})
    else:
        _show_split(outcome.split)
        if checks.root:
            click.echo(f"file names are relative to {checks.root}")
        for finding in checks.findings:
            _show_finding(finding, checks.root)
        if sheet:
            click.echo(f"contact sheet: {sheet}")
    require_sound(checks, allow_leak=job.recipe.check.allow_leak)
    return 0


class _Unrepeated:
    """Progress without the notes that the table repeats."""

    def __init__(self, progress: Progress) -> None:
        self.task = progress.task
        self._note = progress.note

    def note(self, text: str) -> None:
        if not text.startswith(("check: ", "skipped ")):
            self._note(text)


def _show_split(split: Any) -> None:
    from edgetl.fronts.base import load_front

    click.echo(f"{len(split.classes)} classes: {', '.join(split.classes)}")
    noun = f"{load_front(split.front).noun}s"
    click.echo(f"{len(split.shots)} training {noun}, {len(split.val)} validation {noun}")
    if split.windows:
        lengths = split.windows.lengths
        click.echo(f"series: {len(split.windows.channels)} channels, {min(lengths)} to {max(lengths)} steps long")
    elif split.front == "image":
        click.echo(f"resize: {split.resize}: {split.resize_reason}")
    elif split.clips is not None:
        seconds = sorted(length / split.clips.rate_hz for length in split.clips.lengths)
        click.echo(f"sound:  {split.clips.rate_hz} Hz, {seconds[0]:.2f} to {seconds[-1]:.2f} s long")


def _show_finding(finding: Any, root: str) -> None:
    click.echo(f"{finding.verdict:<12} {finding.check:<15} {finding.sentence}")
    for suspect in finding.suspects[:_NAMED]:
        named = " and ".join(_short(picture.path, root) for picture in suspect.pictures)
        click.echo(f"{'':<28} {named}: {suspect.sentence}")
    if finding.found > _NAMED:
        click.echo(f"{'':<28} and {finding.found - _NAMED} more; check.json lists them")


def _short(path: str, root: str) -> str:
    return str(Path(path).relative_to(root)) if root and Path(path).is_relative_to(root) else path
