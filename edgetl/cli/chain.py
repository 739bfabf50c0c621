"""Shared by the commands that run the chain up to one stage."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import RecipeOptions, emit, progress_for, recipe_options

if TYPE_CHECKING:
    from edgetl.stages.pipeline import Until


def chain_command(name: str, until: Until, help_text: str, show: Callable[[Any], None]) -> click.Command:
    """A command that runs a recipe up to the stage `until`; finished stages are not repeated.

    show  prints the outcome as text.
    """

    @click.command(name, cls=Command, help=help_text)
    @recipe_options
    def command(options: RecipeOptions) -> int:
        return run_chain(options.job(), until, quiet=options.quiet, as_json=options.as_json, show=show)

    return command


def run_chain(
    job: Any,
    until: Until,
    *,
    quiet: bool,
    as_json: bool,
    show: Callable[[Any], None],
    devices: Sequence[Any] = (),
    write: Callable[[Any], None] = lambda outcome: None,
) -> int:
    """Run, print, and return the exit code: 3 if a gate was missed. write  writes extra files"""
    from edgetl.stages.pipeline import run

    quieten_torch()
    outcome = run(job, progress_for(quiet), until, devices)
    if as_json:
        emit(outcome_json(outcome))
    else:
        show(outcome)
    write(outcome)
    return 0 if outcome.passed else 3


def outcome_json(outcome: Any) -> dict[str, Any]:
    """The split, the stages with their folders and findings, and the report if there is one."""
    from edgetl.report.model import report_text
    from edgetl.stages.found import found

    stages = [
        {**asdict(result), "folder": str(result.folder), "peak_rss_bytes": result.peak_rss_bytes}
        for result in outcome.results
    ]
    return {
        "out": str(outcome.out),
        "data": _split_json(outcome.split),
        "stages": stages,
        "found": found(outcome.results).to_json(),
        "report": json.loads(report_text(outcome.report)) if outcome.report else None,
        "passed": outcome.passed,
    }


def _split_json(split: Any) -> dict[str, Any]:
    return {
        "classes": split.classes,
        "shots": len(split.shots),
        "val": len(split.val),
        **(
            {"rate_hz": split.clips.rate_hz}
            if split.clips
            else {"channels": split.windows.channels, "steps": [min(split.windows.lengths), max(split.windows.lengths)]}
            if split.windows
            else {"resize": split.resize, "resize_reason": split.resize_reason}
            if split.front == "image"
            else {}
        ),
        "skipped": [asdict(skipped) for skipped in split.skipped],
    }


def show_folders(outcome: Any) -> None:
    """One line per stage: its title, whether it ran, the folder of its result. Then the findings."""
    from edgetl.stages.found import found

    for result in outcome.results:
        state = "kept" if result.reused else f"{result.seconds:.1f} s"
        click.echo(f"{result.title:<32} {state:>8}  {result.folder}")
    for line in found(outcome.results).lines():
        click.echo(line)


def quieten_torch() -> None:
    # torchao registers an enum in a way that torch warns about; users cannot fix it
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
