"""Reports what works on this machine: the training extra, every backend, the ARM emulator."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec

from edgetl.types import Missing


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
    needed = ("torch", "torchvision", "timm", "torchao", "sklearn", "onnxscript")
    absent = [name for name in needed if find_spec(name) is None]
    missing = Missing(f"not installed: {', '.join(absent)}", "pip install 'edgetl[train]'") if absent else None
    version = "" if "torch" in absent else f"torch {metadata.version('torch')}"
    return Examined("training", version, (Use("adapt, quantize, export", missing),))


def _emulator() -> Examined:
    from edgetl.bench import qemu

    return Examined("arm emulator", "qemu", (Use("check ARM bundles", qemu.missing()),))
