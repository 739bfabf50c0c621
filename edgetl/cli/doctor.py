"""edgetl doctor"""

from __future__ import annotations

from dataclasses import asdict

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import emit, json_option


@click.command("doctor", cls=Command)
@json_option
def command(as_json: bool) -> None:
    """Show each backend's version, whether it can compile and run here, and if not, the command that fixes it."""
    from edgetl.doctor import examine

    examined = examine()
    if as_json:
        emit([asdict(each) for each in examined])
        return
    width = max(len(each.name) for each in examined)
    for each in examined:
        click.echo(f"{each.name:<{width}}  {each.version or 'not installed'}")
        for use in each.uses:
            state = "yes" if use.missing is None else f"no: {use.missing.reason}"
            click.echo(f"{'':<{width}}    {use.name}: {state}")
            if use.missing and use.missing.remedy:
                click.echo(f"{'':<{width}}      fix: {use.missing.remedy}")
