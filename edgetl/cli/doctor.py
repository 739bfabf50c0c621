"""edgetl doctor: what works on this machine, the training extra, every backend, the ARM emulator."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import emit, json_option

if TYPE_CHECKING:
    from edgetl.types import Missing


@click.command("doctor", cls=Command)
@json_option
def command(as_json: bool) -> None:
    """Show each backend's version, whether it can compile and run here, and if not, the command that fixes it."""
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


@dataclass(frozen=True)
class Use:
    """One use of a component; `missing` is None if it works here."""

    name: str
    missing: Missing | None


@dataclass(frozen=True)
class Examined:
    name: str
    version: str
    uses: tuple[Use, ...]


def examine() -> tuple[Examined, ...]:
    """Check every component without importing an SDK."""
    from edgetl.backends.base import diagnose

    backends = tuple(
        Examined(found.backend, found.version, (Use("compile", found.missing), Use("run", found.cannot_run)))
        for found in diagnose()
    )
    return (_training(), *backends, _emulator())


def _training() -> Examined:
    from edgetl.types import Missing

    needed = ("torch", "torchvision", "timm", "torchao", "sklearn", "onnxscript")
    absent = [name for name in needed if find_spec(name) is None]
    missing = Missing(f"not installed: {', '.join(absent)}", "pip install 'edgetl[train]'") if absent else None
    version = "" if "torch" in absent else f"torch {metadata.version('torch')}"
    return Examined("training", version, (Use("adapt, quantize, export", missing),))


def _emulator() -> Examined:
    from edgetl.bench import qemu

    return Examined("arm emulator", "qemu", (Use("check ARM bundles", qemu.missing()),))
