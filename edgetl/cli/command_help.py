"""A command whose help lists its own options first, suggests only near options, and names the next step."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Any

import click

from edgetl.cli.next_step import say_following

_OF_RECIPES = ("overrides", "out", "weights_dirs", "targets_dirs", "calibration_dirs", "allow_leak")
_GENERAL = ("quiet", "as_json")
_NEAR = 0.75  # ratio of SequenceMatcher; click suggests `--set` for `--csv`, which is 0.6


class Command(click.Command):
    """Options in groups: the command's own, the recipe options, then output and help."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        params = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        # `--out` and the like are common options only if they come with a recipe
        shared = _OF_RECIPES if any(param.name == "overrides" for param in params) else ()
        groups: dict[str, list[tuple[str, str]]] = {"Options": [], "Recipe options": [], "Output and help": []}
        for param in params:
            record = param.get_help_record(ctx)
            if record is not None:
                groups[_group(param, shared)].append(record)
        for heading, records in groups.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def invoke(self, ctx: click.Context) -> Any:
        outcome = super().invoke(ctx)
        if not outcome:  # an exit code of its own
            say_following(ctx)
        return outcome

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            near = [name for name in error.possibilities or () if _near(error.option_name, name)]
            raise click.NoSuchOption(error.option_name, possibilities=near, ctx=ctx) from error


def _group(option: click.Option, shared: tuple[str, ...]) -> str:
    if option.name in shared:
        return "Recipe options"
    return "Output and help" if option.name in _GENERAL or "--help" in option.opts else "Options"


def _near(typed: str, name: str) -> bool:
    return SequenceMatcher(None, typed, name).ratio() >= _NEAR
